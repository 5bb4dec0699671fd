/* stage_geo: the options that the engine opens the databases with, and its way to the session. */
#ifndef MAILREEVE_PIPELINE_STAGE_GEO_H
#define MAILREEVE_PIPELINE_STAGE_GEO_H

#include "lib/geo/geo.h"
#include "lib/policy/option.h"

struct geo_options {
	const char *country_database;
	const char *asn_database;
	uint64_t check_interval;
	const char *const *countries;
	const char *const *only_countries;
	struct option_numbers asns;
	const char *const *user_countries;
};

/* paths live as long as the options. */
void stage_geo_settings(const struct geo_options *options, struct geo_settings *settings_r);
/* Is there a rule that the database is needed for? */
bool stage_geo_needs(const struct geo_options *options, enum geo_kind kind);

#endif
