/* Where the client is: its country and its network (autonomous system), for the log and for rules. Both are known as
 * soon as the client is, so that a rule can answer at RCPT. For outbound mail they are facts only, but for
 * user_countries: whose password is used from elsewhere. */
#include "lib/pipeline/stage_geo.h"

#include "lib/base/clock.h"
#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/stage_list.h"

#include <stddef.h>

#define COUNTRY_DATABASE "/var/lib/GeoIP/GeoLite2-Country.mmdb"
#define ASN_DATABASE "/var/lib/GeoIP/GeoLite2-ASN.mmdb"

enum { GEO_FOUND_COUNTRY, GEO_NOT_LISTED, GEO_UNKNOWN, GEO_FOUND_ASN, GEO_USER, GEO_UNAVAILABLE };

static const struct finding_code codes[] = {
    [GEO_FOUND_COUNTRY] = {"geo.country",
                           {ACTION_TAG, 0},
                           FINDING_AT_RCPT,
                           "7.1",
                           "Mail from the client's country is not taken here",
                           "the client is in one of geo.countries"},
    [GEO_NOT_LISTED] = {"geo.country_not_listed",
                        {ACTION_TAG, 0},
                        FINDING_AT_RCPT,
                        "7.1",
                        "Mail from the client's country is not taken here",
                        "the client's country is known, and none of geo.only_countries"},
    [GEO_UNKNOWN] = {"geo.country_unknown",
                     {ACTION_IGNORE, 0},
                     FINDING_AT_RCPT,
                     "7.1",
                     "The client's country is not known",
                     "geo.only_countries is set, and the database does not know the client's country"},
    [GEO_FOUND_ASN] = {"geo.asn",
                       {ACTION_TAG, 0},
                       FINDING_AT_RCPT,
                       "7.1",
                       "Mail from the client's network is not taken here",
                       "the client is in one of geo.asns"},
    [GEO_USER] = {"geo.user_country",
                  {ACTION_TAG, 0},
                  FINDING_AT_RCPT,
                  "7.1",
                  "Mail cannot be sent from the country that you are in",
                  "an authenticated user is in none of geo.user_countries: travelling, or robbed of the password"},
    [GEO_UNAVAILABLE] = {"geo.unavailable",
                         {ACTION_IGNORE, 0},
                         FINDING_AT_RCPT,
                         "7.1",
                         "The client's country or network could not be looked up, please try again later",
                         "there is a rule on countries or AS numbers, and no database to look them up in"},
    {.code = NULL},
};

static const struct option_row options[] = {
    {.name = "country_database",
     .type = OPTION_STRING,
     .offset = offsetof(struct geo_options, country_database),
     .fallback = COUNTRY_DATABASE,
     .help = "MaxMind DB file with countries (GeoLite2, GeoIP2, DB-IP, IPinfo ...); empty: none"},
    {.name = "asn_database",
     .type = OPTION_STRING,
     .offset = offsetof(struct geo_options, asn_database),
     .fallback = ASN_DATABASE,
     .help = "MaxMind DB file with the numbers of autonomous systems, which may be the same one; empty: none"},
    {.name = "check_interval",
     .type = OPTION_DURATION,
     .offset = offsetof(struct geo_options, check_interval),
     .fallback = "1s",
     .min = 100 * CLOCK_NS_PER_MS,
     .max = 24 * 3600 * CLOCK_NS_PER_S,
     .help = "how often it is looked whether a database has changed"},
    {.name = "countries",
     .type = OPTION_COUNTRIES,
     .offset = offsetof(struct geo_options, countries),
     .fallback = "",
     .help = "clients in these countries are geo.country"},
    {.name = "only_countries",
     .type = OPTION_COUNTRIES,
     .offset = offsetof(struct geo_options, only_countries),
     .fallback = "",
     .help = "clients in no country of these are geo.country_not_listed; empty: no such rule"},
    {.name = "asns",
     .type = OPTION_ASNS,
     .offset = offsetof(struct geo_options, asns),
     .fallback = "",
     .help = "clients in these autonomous systems are geo.asn"},
    {.name = "user_countries",
     .type = OPTION_COUNTRIES,
     .offset = offsetof(struct geo_options, user_countries),
     .fallback = "",
     .help = "authenticated users in no country of these are geo.user_country; empty: no such rule"},
    {.name = NULL},
};

void stage_geo_settings(const struct geo_options *geo, struct geo_settings *settings_r)
{
	*settings_r = (struct geo_settings){
	    .paths = {geo->country_database, geo->asn_database},
	    .check_interval_ns = geo->check_interval,
	    .expected = {strcmp(geo->country_database, COUNTRY_DATABASE) != 0,
	                 strcmp(geo->asn_database, ASN_DATABASE) != 0},
	};
}

bool stage_geo_needs(const struct geo_options *geo, enum geo_kind kind)
{
	bool country = geo->countries[0] != NULL || geo->only_countries[0] != NULL || geo->user_countries[0] != NULL;
	return kind == GEO_COUNTRY ? country : geo->asns.count > 0;
}

static bool has_country(const char *const *countries, const char *country)
{
	for (; *countries != NULL; countries++) {
		if (strcmp(*countries, country) == 0) {
			return true;
		}
	}
	return false;
}

static bool has_asn(const struct option_numbers *asns, uint32_t asn)
{
	for (size_t i = 0; i < asns->count; i++) {
		if (asns->items[i] == asn) {
			return true;
		}
	}
	return false;
}

static void geo_find_country(struct session *session, const struct geo_options *geo)
{
	const char *country = session->geo.country;
	bool known = country[0] != '\0';
	if (known && has_country(geo->countries, country)) {
		session_find(session, &codes[GEO_FOUND_COUNTRY], country, NULL);
	}
	if (geo->only_countries[0] == NULL) {
		return;
	}
	if (!known) {
		session_find(session, &codes[GEO_UNKNOWN], NULL, NULL);
	} else if (!has_country(geo->only_countries, country)) {
		session_find(session, &codes[GEO_NOT_LISTED], country, NULL);
	}
}

static void geo_find_asn(struct session *session, const struct geo_options *geo)
{
	const struct geo_facts *facts = &session->geo;
	if (facts->asn != 0 && has_asn(&geo->asns, facts->asn)) {
		session_find(session, &codes[GEO_FOUND_ASN],
		             arena_printf(session->arena, "AS%u %s", facts->asn, facts->as_name), NULL);
	}
}

/* A country that is not known is none to accuse a user by: his own network has none. */
static void geo_find_user(struct session *session, const struct geo_options *geo)
{
	const char *country = session->geo.country;
	if (geo->user_countries[0] != NULL && session->auth_user[0] != '\0' && country[0] != '\0' &&
	    !has_country(geo->user_countries, country)) {
		session_find(session, &codes[GEO_USER], arena_printf(session->arena, "%s in %s", session->auth_user, country),
		             NULL);
	}
}

static void geo_find(struct session *session, const struct geo_options *geo)
{
	struct geo *databases = engine_geo(session->engine);
	bool lacks_country = stage_geo_needs(geo, GEO_COUNTRY) && !geo_has(databases, GEO_COUNTRY);
	bool lacks_asn = stage_geo_needs(geo, GEO_ASN) && !geo_has(databases, GEO_ASN);
	if (session->direction == DIRECTION_OUTBOUND) {
		geo_find_user(session, geo);
		return;
	}
	if (lacks_country || lacks_asn) {
		session_find(session, &codes[GEO_UNAVAILABLE],
		             lacks_country ? "no countries are loaded" : "no AS numbers are loaded", NULL);
	}
	if (!lacks_country) {
		geo_find_country(session, geo);
	}
	geo_find_asn(session, geo);
}

/* Before the first transaction there is nothing to find anything in. */
static enum stage_progress geo_connect(struct session *session, const void *settings)
{
	(void)settings;
	if (session->client_known) {
		geo_lookup(engine_geo(session->engine), &session->client, &session->geo);
	}
	return STAGE_DONE;
}

static enum stage_progress geo_advance(struct session *session, const void *settings)
{
	if (!session->client_known || session->geo_stated) {
		return STAGE_DONE;
	}
	session->geo_stated = true;
	geo_lookup(engine_geo(session->engine), &session->client, &session->geo);
	geo_find(session, settings);
	return STAGE_DONE;
}

const struct stage stage_geo = {
    .section =
        {.name = "geo",
         .help =
             "Country and autonomous system of the client, by MaxMind DB files. They are read again when they change; "
             "one that is damaged is refused.",
         .options = options,
         .settings_size = sizeof(struct geo_options),
         .codes = codes,
         .mode = MODE_ENFORCE},
    .inbound = true,
    .outbound = true,
    .on = {[PHASE_CONNECT] = geo_connect,
           [PHASE_MAIL] = geo_advance,
           [PHASE_HEADERS] = geo_advance,
           [PHASE_END] = geo_advance},
};
