/* The folder of private keys: names, checks, snapshots, what is kept when a file breaks, and many threads. */
#include "lib/auth/keystore.h"
#include "lib/base/log.h"
#include "t/tap.h"

#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <unistd.h>

static struct arena *arena;
static char folder[] = "/tmp/keystore-XXXXXX";
static const char *pem_rsa, *pem_rsa_2, *pem_short, *pem_ed;

static const char *make_pem(unsigned bits)
{
	EVP_PKEY *key = bits == 0 ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : EVP_RSA_gen(bits);
	BIO *out = BIO_new(BIO_s_mem());
	char *text;
	PEM_write_bio_PrivateKey(out, key, NULL, NULL, 0, NULL, NULL);
	long n = BIO_get_mem_data(out, &text);
	const char *pem = arena_memdup(arena, text, (size_t)n);
	BIO_free(out);
	EVP_PKEY_free(key);
	return pem;
}

static const char *path_of(const char *file)
{
	return arena_printf(arena, "%s/%s", folder, file);
}

static void put(const char *file, const char *text, mode_t mode)
{
	const char *temporary = path_of(".tmp");
	FILE *out = fopen(temporary, "w");
	fputs(text, out);
	fclose(out);
	chmod(temporary, mode);
	rename(temporary, path_of(file));
}

static void drop(const char *file)
{
	unlink(path_of(file));
}

static void test_names(void)
{
	static const struct {
		const char *file, *selector, *domain;
		enum key_state state;
	} rows[] = {
	    {"s._domainkey.example.com.active.pem", "s", "example.com", KEY_ACTIVE},
	    {"a.b._domainkey.example.com.new.pem", "a.b", "example.com", KEY_NEW},
	    {"s._domainkey.xn--bcher-kva.example.retired.pem", "s", "xn--bcher-kva.example", KEY_RETIRED},
	    {"s._domainkey.localhost.active.pem", "s", "localhost", KEY_ACTIVE},
	    {"s._domainkey.active.active.pem", "s", "active", KEY_ACTIVE},
	    {"s._domainkey.example.com.pem", NULL, NULL, KEY_NEW},
	    {"s._domainkey.example.com.active", NULL, NULL, KEY_NEW},
	    {"s._domainkey.example.com.active.PEM", NULL, NULL, KEY_NEW},
	    {"s._domainkey.example.com.Active.pem", NULL, NULL, KEY_NEW},
	    {"s._domainkey.Example.com.active.pem", NULL, NULL, KEY_NEW},
	    {"S._domainkey.example.com.active.pem", NULL, NULL, KEY_NEW},
	    {"s._domainkey.example..com.active.pem", NULL, NULL, KEY_NEW},
	    {"s._domainkey.example.com..active.pem", NULL, NULL, KEY_NEW},
	    {"s._domainkey..active.pem", NULL, NULL, KEY_NEW},
	    {"s._domainkey.active.pem", NULL, NULL, KEY_NEW},
	    {"._domainkey.example.com.active.pem", NULL, NULL, KEY_NEW},
	    {"s._domainkey.t._domainkey.example.com.active.pem", NULL, NULL, KEY_NEW},
	    {"s._domainkey._domainkey.example.com.active.pem", NULL, NULL, KEY_NEW},
	    {"s s._domainkey.example.com.active.pem", NULL, NULL, KEY_NEW},
	    {"s\xc3\xbc._domainkey.example.com.active.pem", NULL, NULL, KEY_NEW},
	    {"s/._domainkey.example.com.active.pem", NULL, NULL, KEY_NEW},
	    {"active.pem", NULL, NULL, KEY_NEW},
	    {".pem", NULL, NULL, KEY_NEW},
	    {"", NULL, NULL, KEY_NEW},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct key_name name = {.domain = NULL};
		char *file = strdup(rows[i].file);
		bool good = key_name_parse(arena, file, &name);
		free(file);
		ok(good == (rows[i].domain != NULL) &&
		       (!good || (strcmp(name.domain, rows[i].domain) == 0 && strcmp(name.selector, rows[i].selector) == 0 &&
		                  name.state == rows[i].state)),
		   "name %s", rows[i].file);
		if (good) {
			is_text(key_name_format(arena, &name), rows[i].file, "and back");
		}
	}
	char *domain = arena_alloc(arena, 252);
	memset(domain, 'a', 251);
	struct key_name name = {domain, "s", KEY_NEW};
	ok(key_name_format(arena, &name) == NULL, "a name that no file can have");
}

/* One file: the key, or what is said about it. */
static void test_checks(void)
{
	static const char file[] = "s._domainkey.example.com.active.pem";
	const struct {
		const char *what, *text;
		mode_t mode;
		const char *problem; /* a part of it; NULL: good */
	} rows[] = {
	    {"RSA", pem_rsa, 0600, NULL},
	    {"Ed25519", pem_ed, 0600, NULL},
	    {"readable by the group", pem_rsa, 0640, NULL},
	    {"read-only", pem_rsa, 0400, NULL},
	    {"readable by others", pem_rsa, 0604, "is open to everybody (mode 0604): chmod 600 "},
	    {"writable by others", pem_rsa, 0602, "is open to everybody"},
	    {"writable by the group", pem_rsa, 0620, "can be written by its group (mode 0620): chmod 600 "},
	    {"empty", "", 0600, "has 0 bytes"},
	    {"no key", "hello\n", 0600, "holds 0 PEM blocks"},
	    {"512 bits", pem_short, 0600, "RSA key of 512 bits"},
	    {"two keys", arena_printf(arena, "%s%s", pem_rsa, pem_ed), 0600, "holds 2 PEM blocks"},
	    {"cut", arena_memdup(arena, pem_rsa, 300), 0600, "holds no private key"},
	    {"a certificate", "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", 0600,
	     "holds no private key"},
	    {"too large", memset(arena_alloc(arena, 40001), 'x', 40000), 0600, "has 40000 bytes; a key has 1 to 32768"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		put(file, rows[i].text, rows[i].mode);
		struct keys *keys = keys_load(folder, geteuid(), NULL);
		size_t count;
		const struct keystore_key *item = keys_of(keys, "example.com", &count);
		ok(count == 1 && keys_problem(keys) == NULL, "%s: one file", rows[i].what);
		ok((item->key != NULL) == (rows[i].problem == NULL), "it is %s key", rows[i].problem == NULL ? "a" : "no");
		ok((item->problem == NULL && rows[i].problem == NULL) ||
		       (item->problem != NULL && rows[i].problem != NULL && strstr(item->problem, rows[i].problem) != NULL &&
		        strstr(item->problem, path_of(file)) != NULL),
		   "and it is said: %s", item->problem == NULL ? "nothing" : item->problem);
		ok(item->problem == NULL || strstr(item->problem, "PRIVATE") == NULL, "without what is in it");
		keys_release(keys);
	}
	drop(file);
	bool linked = symlink("/etc/hostname", path_of(file)) == 0;
	struct keys *keys = keys_load(folder, geteuid(), NULL);
	size_t count;
	ok(linked && strstr(keys_of(keys, "example.com", &count)->problem, "symbolic link") != NULL, "a link is none");
	keys_release(keys);
	drop(file);
	mkdir(path_of(file), 0700);
	keys = keys_load(folder, geteuid(), NULL);
	ok(strstr(keys_of(keys, "example.com", &count)->problem, "not a regular file") != NULL, "nor a folder");
	keys_release(keys);
	rmdir(path_of(file));
	if (geteuid() == 0) {
		put(file, pem_rsa, 0600);
		bool given = chown(path_of(file), 65534, 65534) == 0;
		keys = keys_load(folder, 1, NULL);
		ok(given && strstr(keys_of(keys, "example.com", &count)->problem, "belongs to user 65534") != NULL,
		   "nor another user's");
		keys_release(keys);
		keys = keys_load(folder, 65534, NULL);
		ok(keys_of(keys, "example.com", &count)->key != NULL, "but the daemon's own");
		keys_release(keys);
		drop(file);
	}
}

static void test_order(void)
{
	put("b._domainkey.two.example.active.pem", pem_rsa, 0600);
	put("a._domainkey.two.example.new.pem", pem_ed, 0600);
	put("a._domainkey.two.example.active.pem", pem_rsa, 0600);
	put("x._domainkey.one.example.retired.pem", pem_rsa, 0600);
	put("x._domainkey.sub.two.example.active.pem", pem_rsa, 0600);
	put("readme.pem", "x", 0644);
	put("README", "x", 0644);
	put(".hidden._domainkey.one.example.active.pem", "x", 0644);
	struct keys *keys = keys_load(folder, geteuid(), NULL);
	size_t count;
	keys_all(keys, &count);
	is_int((long long)count, 5, "five keys");
	const struct keystore_key *items = keys_of(keys, "two.example", &count);
	is_int((long long)count, 3, "three of a domain");
	is_text(items[0].name.selector, "a", "by selector");
	ok(items[0].name.state == KEY_ACTIVE && keys_find(keys, "two.example", "a") == &items[0],
	   "the active one of a selector is found");
	is_text(items[2].name.selector, "b", "to the last");
	keys_of(keys, "one.exampl", &count);
	is_int((long long)count, 0, "none of another domain");
	keys_of(keys, "zzz", &count);
	is_int((long long)count, 0, "nor behind the last");
	ok(keys_find(keys, "one.example", "y") == NULL, "nor by another selector");
	ok(strstr(keys_strangers(keys)[0], "readme.pem is no name of a key") != NULL && keys_strangers(keys)[1] == NULL,
	   "what is no key is named");
	keys_release(keys);
	drop("b._domainkey.two.example.active.pem");
	drop("a._domainkey.two.example.new.pem");
	drop("a._domainkey.two.example.active.pem");
	drop("x._domainkey.one.example.retired.pem");
	drop("x._domainkey.sub.two.example.active.pem");
	drop("readme.pem");
	drop("README");
	drop(".hidden._domainkey.one.example.active.pem");
}

static const char *public_of(const struct keys *keys, const char *domain)
{
	size_t count;
	const struct keystore_key *items = keys_of(keys, domain, &count);
	return count == 0 || items[0].key == NULL ? "none" : dkim_private_key_public(items[0].key, arena);
}

/* A running daemon: what breaks keeps what it was. */
static void test_keeps(void)
{
	static const char file[] = "s._domainkey.example.com.active.pem";
	size_t count;
	put(file, pem_rsa, 0600);
	struct keys *first = keys_load(folder, geteuid(), NULL);
	const char *before = public_of(first, "example.com");
	put(file, "rubbish", 0600);
	struct keys *broken = keys_load(folder, geteuid(), first);
	ok(keys_of(broken, "example.com", &count)->problem != NULL, "a file breaks");
	is_text(public_of(broken, "example.com"), before, "its key is kept");
	keys_release(first);
	struct keys *again = keys_load(folder, geteuid(), broken);
	keys_release(broken);
	is_text(public_of(again, "example.com"), before, "and kept");
	put(file, pem_rsa_2, 0600);
	struct keys *good = keys_load(folder, geteuid(), again);
	keys_release(again);
	ok(keys_of(good, "example.com", &count)->problem == NULL && strcmp(public_of(good, "example.com"), before) != 0,
	   "until there is a good one");
	before = public_of(good, "example.com");
	chmod(folder, 0777);
	struct keys *open_folder = keys_load(folder, geteuid(), good);
	ok(strstr(keys_problem(open_folder), "can be written by everybody") != NULL, "a folder open to all is not read");
	is_text(public_of(open_folder, "example.com"), before, "its keys are kept");
	chmod(folder, 0700);
	keys_release(open_folder);
	char *elsewhere = arena_printf(arena, "%s.gone", folder);
	rename(folder, elsewhere);
	struct keys *gone = keys_load(folder, geteuid(), good);
	ok(strstr(keys_problem(gone), "No such file") != NULL, "a folder that vanishes is a problem");
	is_text(public_of(gone, "example.com"), before, "its keys are kept");
	keys_release(gone);
	struct keys *never = keys_load(folder, geteuid(), NULL);
	ok(keys_problem(never) == NULL, "one that never was is none");
	keys_release(never);
	rename(elsewhere, folder);
	drop(file);
	struct keys *empty = keys_load(folder, geteuid(), good);
	keys_of(empty, "example.com", &count);
	is_int((long long)count, 0, "a file that is removed takes its key with it");
	keys_release(empty);
	keys_release(good);
}

/* Written again within the same tick of the file system's clock, with the same size: nothing but the bytes tells. */
static void test_tick(void)
{
	static const char file[] = "s._domainkey.example.com.active.pem";
	bool same = false;
	for (int i = 0; i < 500 && !same; i++) {
		struct stat before;
		struct stat after;
		put(file, pem_rsa, 0600);
		struct keys *first = keys_load(folder, geteuid(), NULL);
		stat(path_of(file), &before);
		FILE *out = fopen(path_of(file), "r+");
		fputs(pem_rsa_2, out);
		fclose(out);
		stat(path_of(file), &after);
		same = before.st_ctim.tv_sec == after.st_ctim.tv_sec && before.st_ctim.tv_nsec == after.st_ctim.tv_nsec;
		struct keys *second = keys_load(folder, geteuid(), first);
		if (same) {
			ok(strcmp(public_of(first, "example.com"), public_of(second, "example.com")) != 0,
			   "a file with the same times as before is not believed to be the same");
		}
		keys_release(first);
		keys_release(second);
	}
	if (!same) {
		diag("no two writes within one tick: a finer clock than most");
	}
	drop(file);
}

/* Threads that sign while keys are rotated: never a moment without an active key. */
enum { READERS = 4, ROUNDS = 60 };
static struct keystore *store;
static atomic_bool stop;
static atomic_uint without, looks;

static void *reader(void *unused)
{
	(void)unused;
	while (!atomic_load(&stop)) {
		struct keys *keys = keystore_acquire(store);
		size_t count;
		const struct keystore_key *items = keys_of(keys, "example.com", &count);
		bool active = false;
		for (size_t i = 0; i < count; i++) {
			active = active || (items[i].name.state == KEY_ACTIVE && items[i].key != NULL);
		}
		atomic_fetch_add(&without, !active);
		atomic_fetch_add(&looks, 1);
		keys_release(keys);
	}
	return NULL;
}

static void move(const char *selector, const char *from, const char *to)
{
	rename(path_of(arena_printf(arena, "%s._domainkey.example.com.%s.pem", selector, from)),
	       path_of(arena_printf(arena, "%s._domainkey.example.com.%s.pem", selector, to)));
}

static void test_threads(void)
{
	pthread_t threads[READERS];
	put("a._domainkey.example.com.active.pem", pem_rsa, 0600);
	put("b._domainkey.example.com.new.pem", pem_ed, 0600);
	store = keystore_create(folder, geteuid());
	for (size_t i = 0; i < READERS; i++) {
		pthread_create(&threads[i], NULL, reader, NULL);
	}
	for (int i = 0; i < ROUNDS; i++) {
		const char *in = i % 2 == 0 ? "b" : "a";
		const char *out = i % 2 == 0 ? "a" : "b";
		move(in, i < 2 && i % 2 == 0 ? "new" : "retired", "active");
		keystore_reload(store, folder);
		move(out, "active", "retired");
		keystore_reload(store, folder);
	}
	atomic_store(&stop, true);
	for (size_t i = 0; i < READERS; i++) {
		pthread_join(threads[i], NULL);
	}
	ok(atomic_load(&looks) > 0, "%d threads looked %u times while %d rotations went on", READERS, atomic_load(&looks),
	   ROUNDS);
	is_int(atomic_load(&without), 0, "none saw a moment without a key");
	keystore_destroy(store);
}

/* Without a reload: somebody who asks finds what has changed, within little more than a second. */
static void test_look(void)
{
	size_t count = 0;
	store = keystore_create(folder, geteuid());
	put("late._domainkey.late.example.active.pem", pem_rsa, 0600);
	int turns = 0;
	for (; count == 0 && turns < 100; turns++) {
		struct keys *keys = keystore_acquire(store);
		keys_of(keys, "late.example", &count);
		keys_release(keys);
		poll(NULL, 0, 50);
	}
	ok(count == 1, "a new file is found after %d looks", turns);
	/* Written in place, with the same size: only the file's own times tell. */
	const char *path = path_of("late._domainkey.late.example.active.pem");
	struct keys *keys = keystore_acquire(store);
	const char *before = public_of(keys, "late.example");
	keys_release(keys);
	FILE *out = fopen(path, "r+");
	fputs(pem_rsa_2, out);
	fclose(out);
	const char *after = before;
	for (turns = 0; strcmp(after, before) == 0 && turns < 100; turns++) {
		keys = keystore_acquire(store);
		after = public_of(keys, "late.example");
		keys_release(keys);
		poll(NULL, 0, 50);
	}
	ok(strcmp(after, before) != 0, "and one that is written over, after %d", turns);
	keystore_destroy(store);
	keystore_destroy(NULL);
	keys_release(NULL);
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *ftw)
{
	(void)status, (void)flag, (void)ftw;
	return remove(path);
}

int main(void)
{
	arena = arena_create(65536);
	log_set_level(LOG_LEVEL_ERROR);
	if (mkdtemp(folder) == NULL) {
		skip_all("no temporary folder");
	}
	pem_rsa = make_pem(2048);
	pem_rsa_2 = make_pem(2048);
	while (strlen(pem_rsa) != strlen(pem_rsa_2)) {
		pem_rsa_2 = make_pem(2048);
	}
	pem_short = make_pem(512);
	pem_ed = make_pem(0);
	test_names();
	test_checks();
	test_order();
	test_keeps();
	test_tick();
	test_threads();
	test_look();
	nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	arena_destroy(arena);
	return done_testing();
}
