/* GeoIP databases: MaxMind's own say what their source says, damaged ones are refused, files are read again when they
 * change. */
#include "lib/geo/geo.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/base/slice.h"
#include "t/mmdb_build.h"
#include "t/tap.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <unistd.h>

#define EPOCH UINT64_C(1790000000)

static char folder[256];

static const char *in_folder(const char *name)
{
	static char path[512];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

/* ---- data of our own ---- */

static void write_in_place(const char *path, const void *data, size_t size)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size || close(fd) != 0) {
		perror(path);
		exit(1);
	}
}

static void write_renamed(const char *path, const void *data, size_t size)
{
	char other[600];
	snprintf(other, sizeof other, "%s.new", path);
	write_in_place(other, data, size);
	if (rename(other, path) != 0) {
		perror(path);
		exit(1);
	}
}

/* 0.0.0.0/1 in that country and system, the rest nowhere. */
static void build_simple(struct mmdb_bytes *file, const char *country, uint32_t asn, uint64_t epoch)
{
	struct mmdb_bytes data = {.size = 0};
	put_map(&data, 3);
	put_text(&data, "country"), put_map(&data, 1), put_text(&data, "iso_code"), put_text(&data, country);
	put_text(&data, "autonomous_system_number"), put_number(&data, 6, asn);
	put_text(&data, "as_name"), put_text(&data, "Some Net");
	mmdb_build(file, &data, 0, UINT32_MAX, epoch);
}

/* A copy of exactly the file's size: ASan sees a read behind it. */
static const char *check(const struct mmdb_bytes *file, struct mmdb_summary *summary_r)
{
	uint8_t *copy = malloc(file->size);
	memcpy(copy, file->data, file->size);
	const char *problem = mmdb_check(copy, file->size, summary_r);
	free(copy);
	return problem;
}

static void test_cut(void)
{
	struct mmdb_bytes file;
	struct mmdb_summary summary;
	build_simple(&file, "SE", 29518, EPOCH);
	is_text(check(&file, &summary), NULL, "a small file of our own is sound");
	ok(summary.networks == 1 && summary.has_country && summary.has_asn && summary.build_epoch == EPOCH, "and known");
	size_t whole = file.size;
	size_t taken = 0;
	for (file.size = 0; file.size < whole; file.size++) {
		taken += check(&file, &summary) == NULL;
	}
	is_int((long long)taken, 0, "cut off at any byte it is refused");
	build_simple(&file, "SE", 29518, EPOCH);
	file.data[6 + 8] = 1;
	is_text(check(&file, &summary), "the search tree does not end where the metadata says",
	        "something between tree and data");
}

/* No byte of it, changed in any way, leads out of it: ASan and UBSan look on. */
static void test_flipped(void)
{
	struct mmdb_bytes file;
	struct mmdb_summary summary;
	size_t refused = 0;
	build_simple(&file, "SE", 29518, EPOCH);
	for (size_t i = 0; i < file.size; i++) {
		uint8_t before = file.data[i];
		for (unsigned byte = 0; byte < 256; byte++) {
			file.data[i] = (uint8_t)byte;
			refused += check(&file, &summary) != NULL;
		}
		file.data[i] = before;
	}
	ok(refused > file.size * 256 / 3, "of %zu changed files %zu are refused", file.size * 256, refused);
}

static void build_values(struct mmdb_bytes *data, const char *kind)
{
	data->size = 0;
	if (strcmp(kind, "cycle") == 0) {
		put_map(data, 1), put_text(data, "a"), put_pointer(data, 0);
	} else if (strcmp(kind, "pointer to pointer") == 0) {
		put_map(data, 1), put_text(data, "a"), put_pointer(data, 5), put_pointer(data, 0);
	} else if (strcmp(kind, "pointer out") == 0) {
		put_map(data, 1), put_text(data, "a"), put_pointer(data, 2000);
	} else if (strcmp(kind, "key is a number") == 0) {
		put_map(data, 1), put_number(data, 6, 1), put_number(data, 6, 1);
	} else if (strcmp(kind, "key is no UTF-8") == 0) {
		put_map(data, 1), put_text(data, "\xd3\xd3"), put_number(data, 6, 1);
	} else if (strcmp(kind, "end marker") == 0) {
		put_map(data, 1), put_text(data, "a"), put_byte(data, 0), put_byte(data, 13 - 7);
	} else if (strcmp(kind, "double of four bytes") == 0) {
		put_map(data, 1), put_text(data, "a"), put_byte(data, 3U << 5 | 4), put_number(data, 6, 0);
	} else if (strcmp(kind, "deep") == 0) {
		for (int i = 0; i < 1000; i++) {
			put_array(data, 1);
		}
		put_text(data, "a");
	} else { /* "doubling": maps of two pointers to the next: 2^14 values, if each were followed */
		for (unsigned i = 0; i < 14; i++) {
			put_map(data, 2);
			put_text(data, "a"), put_pointer(data, 9 * (i + 1));
			put_text(data, "b"), put_pointer(data, 9 * (i + 1));
		}
		put_text(data, "end");
	}
}

static void test_values(void)
{
	static const struct {
		const char *kind, *problem;
	} rows[] = {
	    {"cycle", "values are nested without end"},
	    {"pointer to pointer", "a pointer leads to no value"},
	    {"pointer out", "a pointer leads out of the data"},
	    {"key is a number", "the key of a map is no text"},
	    {"key is no UTF-8", "the key of a map is no UTF-8"},
	    {"end marker", "a value has a size that its type cannot have, or no known type"},
	    {"double of four bytes", "a value has a size that its type cannot have, or no known type"},
	    {"deep", "values are nested without end"},
	    {"doubling", NULL},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct mmdb_bytes data;
		struct mmdb_bytes file;
		struct mmdb_summary summary;
		build_values(&data, rows[i].kind);
		mmdb_build(&file, &data, 0, UINT32_MAX, EPOCH);
		is_text(check(&file, &summary), rows[i].problem, rows[i].kind);
	}
}

/* ---- layouts ---- */

static void layout_dbip(struct mmdb_bytes *data)
{
	put_map(data, 2);
	put_text(data, "autonomous_system_number"), put_number(data, 6, 64496);
	put_text(data, "country"), put_map(data, 1), put_text(data, "iso_code"), put_text(data, "DE");
}

static void layout_ipinfo(struct mmdb_bytes *data)
{
	put_map(data, 4);
	put_text(data, "asn"), put_text(data, "AS64496");
	put_text(data, "as_name"), put_text(data, "Net\nof\xc3\xa9\xff it");
	put_text(data, "country"), put_text(data, "Germany");
	put_text(data, "country_code"), put_text(data, "DE");
}

static void layout_ipinfo_old(struct mmdb_bytes *data)
{
	put_map(data, 3);
	put_text(data, "country"), put_text(data, "de");
	put_text(data, "country_name"), put_text(data, "Germany");
	put_text(data, "asn"), put_text(data, "AS64496");
}

static void layout_enterprise(struct mmdb_bytes *data)
{
	put_map(data, 2);
	put_text(data, "registered_country"), put_map(data, 1), put_text(data, "iso_code"), put_text(data, "DE");
	put_text(data, "traits"), put_map(data, 1), put_text(data, "autonomous_system_number"), put_number(data, 6, 64496);
}

static void layout_shared(struct mmdb_bytes *data)
{
	put_map(data, 2); /* 0 */
	put_text(data, "country"), put_pointer(data, 60);
	put_text(data, "asn"), put_number(data, 9, 64496);
	while (data->size < 60) {
		put_byte(data, 0x40); /* empty texts, which nothing leads to */
	}
	put_map(data, 1), put_text(data, "iso_code"), put_text(data, "DE");
}

static void test_layouts(void)
{
	static const struct {
		const char *name;
		void (*build)(struct mmdb_bytes *data);
		const char *as_name;
	} rows[] = {{"DB-IP", layout_dbip, ""},
	            {"IPinfo", layout_ipinfo, "Netof\xc3\xa9 it"},
	            {"IPinfo of old", layout_ipinfo_old, ""},
	            {"Enterprise", layout_enterprise, ""},
	            {"values by pointers", layout_shared, ""}};
	struct mmdb_bytes file;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct mmdb_bytes data = {.size = 0};
		struct geo_facts facts;
		struct ip ip;
		rows[i].build(&data);
		mmdb_build(&file, &data, 0, UINT32_MAX, EPOCH);
		const char *path = in_folder("layout.mmdb");
		write_renamed(path, file.data, file.size);
		struct geo *geo = geo_open(&(struct geo_settings){.paths = {path, path}, .check_interval_ns = 1});
		ip_parse("1.2.3.4", &ip);
		geo_lookup(geo, &ip, &facts);
		is_text(facts.country, "DE", rows[i].name);
		is_int(facts.asn, 64496, "  its number");
		is_text(facts.as_name, rows[i].as_name, "  its name");
		ip_parse("200.2.3.4", &ip);
		geo_lookup(geo, &ip, &facts);
		ok(facts.country[0] == '\0' && facts.asn == 0, "  an address that it does not have");
		ip_parse("2001:db8::1", &ip);
		geo_lookup(geo, &ip, &facts);
		ok(facts.country[0] == '\0' && facts.asn == 0, "  an IPv6 address in a database of IPv4");
		geo_close(geo);
	}
}

/* ---- files that change ---- */

static const char *country_of(struct geo *geo, const char *address)
{
	static struct geo_facts facts;
	struct ip ip;
	ip_parse(address, &ip);
	geo_lookup(geo, &ip, &facts);
	return facts.country;
}

static bool becomes(struct geo *geo, const char *country)
{
	uint64_t end = clock_now() + 20 * CLOCK_NS_PER_S;
	while (strcmp(country_of(geo, "1.2.3.4"), country) != 0) {
		if (clock_now() > end) {
			return false;
		}
		usleep(20000);
	}
	return true;
}

static struct stamp stamp_now(const char *path)
{
	struct stat status = {.st_size = 0};
	stat(path, &status);
	return stamp_of(&status);
}

/* Until the file system's clock has gone on, and a look has come. */
static void look_often(struct geo *geo, const char *path)
{
	uint64_t end = clock_now() + 20 * CLOCK_NS_PER_S;
	while (!stamp_now(path).settled && clock_now() < end) {
		country_of(geo, "1.2.3.4");
		usleep(20000);
	}
	country_of(geo, "1.2.3.4");
	country_of(geo, "1.2.3.4");
}

static void test_changes(void)
{
	struct mmdb_bytes file;
	char path[512];
	snprintf(path, sizeof path, "%s", in_folder("country.mmdb"));
	struct geo *geo = geo_open(&(struct geo_settings){.paths = {path, ""}, .check_interval_ns = 1, .expected = {true}});
	ok(!geo_has(geo, GEO_COUNTRY), "a file that is not there");
	is_text(country_of(geo, "1.2.3.4"), "", "knows nothing");
	build_simple(&file, "SE", 1, EPOCH);
	write_renamed(path, file.data, file.size);
	ok(becomes(geo, "SE"), "it is loaded when it comes");
	ok(geo_has(geo, GEO_COUNTRY) && !geo_has(geo, GEO_ASN), "for what it was named");
	build_simple(&file, "NO", 1, EPOCH + 1);
	write_renamed(path, file.data, file.size);
	is_text((country_of(geo, "1.2.3.4"), country_of(geo, "1.2.3.4")), "NO",
	        "another one, renamed over it, is loaded at once");
	build_simple(&file, "DK", 1, EPOCH + 2);
	write_in_place(path, file.data, file.size);
	ok(becomes(geo, "DK"), "so is one that is written in place, when it is quiet");
	write_in_place(path, file.data, file.size / 2);
	look_often(geo, path);
	is_text(country_of(geo, "1.2.3.4"), "DK", "one that is cut off is not");
	write_renamed(path, "nonsense", 8);
	look_often(geo, path);
	is_text(country_of(geo, "1.2.3.4"), "DK", "nor is nonsense");
	unlink(path);
	country_of(geo, "1.2.3.4");
	is_text(country_of(geo, "1.2.3.4"), "DK", "when it goes, what it held stays");
	build_simple(&file, "FI", 1, EPOCH + 3);
	write_renamed(path, file.data, file.size);
	ok(becomes(geo, "FI"), "a good one mends it");
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ok(fd >= 0 && ftruncate(fd, 0) == 0, "truncated under us");
	close(fd);
	is_text(country_of(geo, "1.2.3.4"), "FI", "nothing falls (SIGBUS), what it held stays");
	geo_configure(geo, &(struct geo_settings){.paths = {"", ""}, .check_interval_ns = 1});
	is_text(country_of(geo, "1.2.3.4"), "", "by configuration it is let go");
	geo_close(geo);
}

static void test_unfit(void)
{
	static const char *const paths[] = {"/nonexistent/x.mmdb", "/dev/null", "/", "/proc/self/status"};
	for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
		char *problem = geo_problem(paths[i], GEO_COUNTRY);
		ok(problem != NULL, "%s: %s", paths[i], problem == NULL ? "" : problem);
		free(problem);
	}
	struct mmdb_bytes data = {.size = 0};
	struct mmdb_bytes file;
	put_map(&data, 1), put_text(&data, "asn"), put_number(&data, 6, 5);
	mmdb_build(&file, &data, 0, 0, EPOCH);
	write_renamed(in_folder("asn.mmdb"), file.data, file.size);
	char *problem = geo_problem(in_folder("asn.mmdb"), GEO_COUNTRY);
	is_text(problem, "there are no countries in it", "a database of something else");
	free(problem);
	is_text(geo_problem(in_folder("asn.mmdb"), GEO_ASN), NULL, "is good for that");
}

/* ---- many threads ---- */

struct crowd {
	struct geo *geo;
	atomic_bool stop;
	atomic_size_t wrong, lookups;
};

static void *crowd_look(void *argument)
{
	struct crowd *crowd = argument;
	struct ip ip;
	ip_parse("1.2.3.4", &ip);
	while (!atomic_load(&crowd->stop)) {
		struct geo_facts facts;
		geo_lookup(crowd->geo, &ip, &facts);
		bool good = (strcmp(facts.country, "SE") == 0 && facts.asn == 1) ||
		            (strcmp(facts.country, "NO") == 0 && facts.asn == 2);
		/* Both kinds from one file may be of two generations for a moment. */
		bool mixed = (strcmp(facts.country, "SE") == 0 || strcmp(facts.country, "NO") == 0) &&
		             (facts.asn == 1 || facts.asn == 2);
		atomic_fetch_add(&crowd->wrong, !good && !mixed);
		atomic_fetch_add(&crowd->lookups, 1);
	}
	return NULL;
}

static void test_threads(void)
{
	struct mmdb_bytes files[2];
	pthread_t threads[4];
	char path[512];
	snprintf(path, sizeof path, "%s", in_folder("both.mmdb"));
	build_simple(&files[0], "SE", 1, EPOCH);
	build_simple(&files[1], "NO", 2, EPOCH + 1);
	write_renamed(path, files[0].data, files[0].size);
	struct crowd crowd = {.geo = geo_open(&(struct geo_settings){.paths = {path, path}, .check_interval_ns = 1})};
	for (size_t i = 0; i < 4; i++) {
		pthread_create(&threads[i], NULL, crowd_look, &crowd);
	}
	for (size_t i = 0; i < 300; i++) {
		write_renamed(path, i % 5 == 4 ? (const void *)"junk" : files[i % 2].data, i % 5 == 4 ? 4 : files[i % 2].size);
	}
	write_renamed(path, files[1].data, files[1].size);
	ok(becomes(crowd.geo, "NO"), "while the file changes");
	atomic_store(&crowd.stop, true);
	for (size_t i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
	}
	ok(atomic_load(&crowd.wrong) == 0, "%zu lookups by four threads, each with what one of the files says",
	   atomic_load(&crowd.lookups));
	geo_close(crowd.geo);
}

/* ---- MaxMind's test data ---- */

static const char *data_path(const char *below, const char *name, const char *suffix)
{
	static char path[1024];
	const char *data = getenv("MAILREEVE_DATA");
	snprintf(path, sizeof path, "%s/geoip/%s%s%s", data == NULL ? "/nonexistent" : data, below, name, suffix);
	return path;
}

/* Each file of a folder. */
static size_t each_file(const char *path, void (*visit)(const char *path, const char *name))
{
	char file[1400];
	size_t count = 0;
	DIR *dir = opendir(path);
	const struct dirent *entry;
	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (slice_ends_nocase(slice_from(entry->d_name), SLICE_LITERAL(".mmdb"))) {
			snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
			visit(file, entry->d_name);
			count++;
		}
	}
	if (dir != NULL) {
		closedir(dir);
	}
	return count;
}

static void expect_refused(const char *path, const char *name)
{
	char *country = geo_problem(path, GEO_COUNTRY);
	char *asn = geo_problem(path, GEO_ASN);
	ok(country != NULL && asn != NULL, "refused: %s: %s", name, country == NULL ? "" : country);
	free(country);
	free(asn);
}

static void expect_sound(const char *path, const char *name)
{
	struct stamp stamp;
	char *error = NULL;
	bool broken = strstr(name, "roken") != NULL || strstr(name, "Invalid") != NULL;
	struct mmdb *mmdb = mmdb_load(path, &stamp, &error);
	ok((mmdb == NULL) == broken, "%s: %s: %s", broken ? "refused" : "sound", name, error == NULL ? mmdb->type : error);
	mmdb_release(mmdb);
	free(error);
}

static const char *text_at(json_t *object, const char *key, const char *member)
{
	return json_string_value(json_object_get(json_object_get(object, key), member));
}

static const char *source_country(json_t *record)
{
	const char *country = text_at(record, "country", "iso_code");
	country = country != NULL ? country : text_at(record, "registered_country", "iso_code");
	return country == NULL ? "" : country;
}

static json_int_t source_asn(json_t *record)
{
	json_t *asn = json_object_get(record, "autonomous_system_number");
	return json_integer_value(
	    asn != NULL ? asn : json_object_get(json_object_get(record, "traits"), "autonomous_system_number"));
}

/* The record of the longest network that has the address; of two equal ones the last. */
static json_t *source_find(json_t *source, const struct ip *ip)
{
	json_t *best = NULL;
	unsigned prefix = 0;
	size_t i;
	json_t *item;
	json_array_foreach(source, i, item)
	{
		const char *key = json_object_iter_key(json_object_iter(item));
		struct ip_network network;
		if (ip_network_parse(key, &network) && ip_network_contains(&network, ip) && network.prefix >= prefix) {
			best = json_object_get(item, key);
			prefix = network.prefix;
		}
	}
	return best;
}

static void last_address(const struct ip_network *network, struct ip *ip_r)
{
	*ip_r = network->address;
	for (unsigned bit = network->prefix; bit < (network->address.family == IP_V4 ? 32U : 128U); bit++) {
		ip_r->bytes[bit / 8] |= (uint8_t)(0x80U >> bit % 8);
	}
}

static bool same_facts(struct geo *geo, json_t *source, const struct ip *ip, bool with_asn)
{
	struct geo_facts facts;
	char text[IP_TEXT_SIZE];
	geo_lookup(geo, ip, &facts);
	json_t *record = source_find(source, ip);
	bool same = strcmp(facts.country, source_country(record)) == 0 && (!with_asn || facts.asn == source_asn(record));
	if (!same) {
		ip_format(ip, text);
		diag("%s: got %s AS%u, the source says %s AS%lld", text, facts.country, facts.asn, source_country(record),
		     (long long)source_asn(record));
	}
	return same;
}

static void compare(const char *name, bool country, bool asn)
{
	char path[1024];
	size_t wrong = 0;
	size_t known = 0;
	size_t i;
	json_t *item;
	snprintf(path, sizeof path, "%s", data_path("test-data/", name, ".mmdb"));
	json_t *source = json_load_file(data_path("source-data/", name, ".json"), 0, NULL);
	struct geo *geo = geo_open(&(struct geo_settings){.paths = {country ? path : "", asn ? path : ""},
	                                                  .check_interval_ns = CLOCK_NS_PER_S,
	                                                  .expected = {true, true}});
	json_array_foreach(source, i, item)
	{
		struct ip_network network;
		struct ip last;
		if (!ip_network_parse(json_object_iter_key(json_object_iter(item)), &network)) {
			continue;
		}
		last_address(&network, &last);
		wrong += !same_facts(geo, source, &network.address, asn) || !same_facts(geo, source, &last, asn);
		known++;
	}
	ok(known > 10 && wrong == 0, "%s: %zu networks, %zu of them not as in the source", name, known, wrong);
	json_decref(source);
	geo_close(geo);
}

static void test_maxmind(void)
{
	if (access(data_path("test-data", "", ""), R_OK) != 0) {
		ok(true, "MaxMind's data # SKIP MAILREEVE_DATA has no geoip/test-data");
		return;
	}
	size_t bad = each_file(data_path("bad-data/libmaxminddb", "", ""), expect_refused) +
	             each_file(data_path("bad-data/maxminddb-golang", "", ""), expect_refused) +
	             each_file(data_path("bad-data/maxminddb-python", "", ""), expect_refused);
	ok(bad >= 21, "%zu damaged files", bad);
	size_t good = each_file(data_path("test-data", "", ""), expect_sound);
	ok(good >= 40, "%zu files of test data", good);
	compare("GeoLite2-Country-Test", true, false);
	compare("GeoIP2-Country-Test", true, false);
	compare("GeoLite2-City-Test", true, false);
	compare("GeoIP2-City-Test", true, false);
	compare("GeoIP2-Enterprise-Test", true, true);
	compare("GeoIP2-Precision-Enterprise-Test", true, true);
	compare("GeoLite2-ASN-Test", false, true);
	compare("GeoIP2-ISP-Test", false, true);
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	snprintf(folder, sizeof folder, "%s/geo_test.XXXXXX", tmp == NULL ? "/tmp" : tmp);
	if (mkdtemp(folder) == NULL) {
		perror(folder);
		return 1;
	}
	log_set_level(LOG_LEVEL_ERROR);
	test_cut();
	test_flipped();
	test_values();
	test_layouts();
	test_changes();
	test_unfit();
	test_threads();
	test_maxmind();
	static const char *const names[] = {"layout.mmdb", "country.mmdb", "asn.mmdb", "both.mmdb"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		unlink(in_folder(names[i]));
	}
	rmdir(folder);
	return done_testing();
}
