/* DKIM signatures on outbound mail (RFC 6376), by the domain of From: the signing table is the folder of keys itself.
 * It runs when every other stage is done, as what they change in the header is signed too, and adds its fields on top.
 */
#include "lib/auth/dkim_sign.h"
#include "lib/auth/keystore.h"
#include "lib/base/clock.h"
#include "lib/mail/domain.h"
#include "lib/pipeline/edited.h"
#include "lib/pipeline/stage_list.h"
#include "lib/pipeline/stage_sign.h"
#include "lib/pipeline/stages.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>

enum { SIGN_FAILED, SIGN_PARTIAL, SIGN_NO_KEY, SIGN_UNSIGNED, SIGN_FROM_MANY, SIGN_FROM_UNUSABLE, SIGN_FRAGILE };
enum { FROM_FIELDS_MAX = 8 }; /* looked at */

static const struct finding_code codes[] = {
    [SIGN_FAILED] = {"sign.failed",
                     {ACTION_TEMPFAIL, 0},
                     FINDING_ENFORCED,
                     "7.5",
                     "The message could not be signed, please try again later",
                     "the author's domain has an active key, but none that can be used: nothing leaves unsigned"},
    [SIGN_PARTIAL] = {"sign.partial",
                      {ACTION_IGNORE, 0},
                      0,
                      "7.5",
                      "The message could not be signed with every key",
                      "one of several active keys of the domain cannot be used; the others have signed"},
    [SIGN_NO_KEY] = {"sign.no_key",
                     {ACTION_IGNORE, 0},
                     0,
                     "7.5",
                     "The message could not be signed",
                     "the author's domain has keys, but none is active; making a key does not stop mail"},
    [SIGN_UNSIGNED] = {"sign.unsigned",
                       {ACTION_IGNORE, 0},
                       0,
                       "7.5",
                       "The message could not be signed",
                       "there is no key for the author's domain, or no author"},
    [SIGN_FROM_MANY] = {"sign.from_many",
                        {ACTION_IGNORE, 0},
                        0,
                        "7.1",
                        "The message must have authors of one domain",
                        "authors of several domains: signed for each that has keys"},
    [SIGN_FROM_UNUSABLE] =
        {"sign.from_unusable",
         {ACTION_REJECT, 0},
         0,
         "7.1",
         "The message must have one From field that can be read",
         "several From fields, or one that can be read in two ways, with a domain that has keys: not signed"},
    [SIGN_FRAGILE] =
        {"sign.fragile",
         {ACTION_IGNORE, 0},
         0,
         "7.5",
         "The signature may break on the way",
         "signed, but mail servers may change what is signed: too long lines, CR or LF alone, NUL, raw 8-bit"},
    {.code = NULL},
};

static const struct option_row options[] = {
    {.name = "keys_dir",
     .type = OPTION_STRING,
     .offset = offsetof(struct sign_settings, keys_dir),
     .fallback = MR_STATEDIR "/keys",
     .min = 1,
     .max = 3000,
     .help = "folder of private keys, see mailreeve key in mailreeve(1)"},
    {.name = "subdomains",
     .type = OPTION_BOOL,
     .offset = offsetof(struct sign_settings, subdomains),
     .fallback = "yes",
     .help = "mail of a domain without a key of its own is signed by the domain above that has one"},
    {.name = "headers",
     .type = OPTION_STRINGS,
     .offset = offsetof(struct sign_settings, headers),
     .fallback =
         "reply-to, subject, date, to, cc, message-id, in-reply-to, references, mime-version, content-type, "
         "content-transfer-encoding, resent-date, resent-from, resent-sender, resent-to, resent-cc, list-id, "
         "list-help, list-unsubscribe, list-unsubscribe-post, list-subscribe, list-post, list-owner, list-archive",
     .help = "fields that are signed besides From, each one that is there"},
    {.name = "oversign",
     .type = OPTION_STRINGS,
     .offset = offsetof(struct sign_settings, oversign),
     .fallback = "from",
     .help = "fields that are signed so that nobody can add another one"},
    {.name = "lifetime",
     .type = OPTION_DURATION,
     .offset = offsetof(struct sign_settings, lifetime),
     .fallback = "0s",
     .max = 365 * 86400 * CLOCK_NS_PER_S,
     .help = "a signature expires after this time (x=); 0s: never"},
    {.name = "identity",
     .type = OPTION_BOOL,
     .offset = offsetof(struct sign_settings, identity),
     .fallback = "no",
     .help = "name the author's domain in i= where a domain above signs"},
    {.name = NULL},
};

/* ---- who signs ---- */

/* Domains of all mailboxes in all From fields. */
struct authors {
	size_t count;
	const char *domains[ADDRESS_MAX_MAILBOXES];
};

static void authors_add(struct authors *authors, const char *domain)
{
	for (size_t i = 0; i < authors->count; i++) {
		if (strcmp(authors->domains[i], domain) == 0) {
			return;
		}
	}
	if (domain[0] != '\0' && authors->count < ADDRESS_MAX_MAILBOXES) {
		authors->domains[authors->count++] = domain;
	}
}

static void authors_find(struct session *session, struct authors *authors_r)
{
	struct address_list *list = arena_alloc(session->arena, sizeof *list);
	const struct header *from;
	authors_r->count = 0;
	for (size_t n = 0; n < FROM_FIELDS_MAX && (from = headers_find(session_headers(session), "From", n)) != NULL; n++) {
		address_parse_list(session->arena, from->value, list);
		for (size_t i = 0; i < list->count; i++) {
			authors_add(authors_r, list->items[i].domain);
		}
	}
}

enum signer_status { SIGNER_NONE, SIGNER_NOT_ACTIVE, SIGNER_BROKEN, SIGNER_GOOD };
struct signer {
	enum signer_status status;
	const char *domain; /* d= */
	const struct keystore_key *items;
	size_t count;
	const char *problem; /* of an active key that cannot be used */
};

static void signer_judge(const struct keys *keys, const char *domain, struct signer *signer_r)
{
	*signer_r = (struct signer){.domain = domain};
	signer_r->items = keys_of(keys, domain, &signer_r->count);
	signer_r->status = signer_r->count > 0 ? SIGNER_NOT_ACTIVE : SIGNER_NONE;
	for (size_t i = 0; i < signer_r->count; i++) {
		const struct keystore_key *item = &signer_r->items[i];
		if (item->name.state != KEY_ACTIVE) {
			continue;
		}
		if (item->key != NULL) {
			signer_r->status = SIGNER_GOOD;
		} else {
			signer_r->problem = item->problem;
			signer_r->status = signer_r->status == SIGNER_GOOD ? SIGNER_GOOD : SIGNER_BROKEN;
		}
	}
}

/* The domain itself, else the nearest one above that has an active key. One whose active key is broken is not passed
 * over: its DMARC policy may ask for its own signature. */
static void signer_find(const struct keys *keys, const char *domain, bool above, struct signer *signer_r)
{
	struct signer found;
	*signer_r = (struct signer){.status = SIGNER_NONE, .domain = domain};
	for (; domain != NULL; domain = above ? domain_parent(domain) : NULL) {
		signer_judge(keys, domain, &found);
		if (found.status > signer_r->status) {
			*signer_r = found;
		}
		if (found.status >= SIGNER_BROKEN) {
			return;
		}
	}
	size_t known;
	keys_all(keys, &known);
	if (signer_r->status == SIGNER_NONE && keys_problem(keys) != NULL && known == 0) {
		signer_r->status = SIGNER_BROKEN; /* it may have one, who knows */
		signer_r->problem = keys_problem(keys);
	}
}

/* ---- signing ---- */

struct signing {
	struct session *session;
	const struct sign_settings *settings;
	const struct keys *keys;
	struct dkim_draft *draft; /* made for the first signature */
	void *map;
	size_t map_size;
	const char *problem;
};

/* The message is sealed: nobody can change or cut the pages. False with ->problem. */
static bool signing_open(struct signing *signing)
{
	struct session *session = signing->session;
	struct headers headers;
	size_t size = (size_t)message_size(session->message);
	size_t body = (size_t)message_body_size(session->message);
	if (signing->draft != NULL) {
		return true;
	}
	edited_headers(session, &headers);
	if (headers.truncated) {
		signing->problem = "the header is beyond header_max or header_count_max";
		return false;
	}
	if (size > 0) {
		signing->map = mmap(NULL, size, PROT_READ, MAP_SHARED, message_fd(session->message), 0);
		if (signing->map == MAP_FAILED) {
			signing->map = NULL;
			signing->problem = arena_printf(session->arena, "the message cannot be read: %s", strerror(errno));
			return false;
		}
		signing->map_size = size;
	}
	struct headers *kept = arena_alloc(session->arena, sizeof *kept);
	*kept = headers;
	struct dkim_sign_options sign = {.fields = signing->settings->headers,
	                                 .oversign = signing->settings->oversign,
	                                 .lifetime = signing->settings->lifetime / CLOCK_NS_PER_S,
	                                 .sendmail = session->mta_is_sendmail};
	struct slice text = {size == 0 ? "" : (const char *)signing->map + (size - body), body};
	signing->draft = dkim_sign_begin(session->arena, &sign, kept, text, session->now);
	return true;
}

static void signing_close(struct signing *signing)
{
	if (signing->map != NULL) {
		munmap(signing->map, signing->map_size);
	}
}

static bool sign_with(struct signing *signing, const struct keystore_key *item, const char *author)
{
	struct session *session = signing->session;
	bool above = strcmp(author, item->name.domain) != 0;
	if (session->signature_count == SESSION_MAX_SIGNATURES) {
		return true;
	}
	if (!signing_open(signing)) {
		return false;
	}
	const char *identity = above && signing->settings->identity ? arena_printf(session->arena, "@%s", author) : NULL;
	const char *value = dkim_sign_field(signing->draft, item->name.domain, item->name.selector, identity, item->key);
	if (value == NULL) {
		signing->problem = "libcrypto did not sign";
		return false;
	}
	if (!session_edit(session, &stage_sign, EDIT_INSERT_HEADER, "DKIM-Signature", value, 0)) {
		return true;
	}
	session->signatures[session->signature_count++] = (struct session_signature){
	    .domain = arena_strdup(session->arena, item->name.domain),
	    .selector = arena_strdup(session->arena, item->name.selector),
	    .algorithm = dkim_private_key_algorithm(item->key),
	};
	return true;
}

static void sign_for(struct signing *signing, const char *author, const struct signer *signer)
{
	struct session *session = signing->session;
	const char *problem = signer->problem;
	bool signed_once = false;
	for (size_t i = 0; i < signer->count; i++) {
		const struct keystore_key *item = &signer->items[i];
		if (item->name.state != KEY_ACTIVE || item->key == NULL) {
			continue;
		}
		if (sign_with(signing, item, author)) {
			signed_once = true;
		} else {
			problem = signing->problem;
		}
	}
	if (problem != NULL) {
		session_find(session, &codes[signed_once ? SIGN_PARTIAL : SIGN_FAILED],
		             arena_printf(session->arena, "%s: %s", signer->domain, problem), NULL);
	}
}

/* One domain of the author, or of several. */
static void sign_author(struct signing *signing, const char *author)
{
	struct session *session = signing->session;
	struct signer signer;
	signer_find(signing->keys, author, signing->settings->subdomains, &signer);
	for (size_t i = 0; i < session->signature_count; i++) {
		if (strcmp(session->signatures[i].domain, signer.domain) == 0) {
			return; /* two authors below one domain */
		}
	}
	switch (signer.status) {
	case SIGNER_NONE:
		session_find(session, &codes[SIGN_UNSIGNED], arena_printf(session->arena, "%s: no key", author), NULL);
		break;
	case SIGNER_NOT_ACTIVE:
		session_find(session, &codes[SIGN_NO_KEY],
		             arena_printf(session->arena, "%s: %zu keys, none of them active", signer.domain, signer.count),
		             NULL);
		break;
	case SIGNER_BROKEN:
	case SIGNER_GOOD:
		sign_for(signing, author, &signer);
		break;
	}
}

/* A message that can be read in two ways is not vouched for (8.15), nor let out without the signature that mail of its
 * domain has. */
static void sign_unusable(struct signing *signing, const struct authors *authors)
{
	struct session *session = signing->session;
	const char *why = author_status_text(session->author.status);
	for (size_t i = 0; i < authors->count; i++) {
		struct signer signer;
		signer_find(signing->keys, authors->domains[i], signing->settings->subdomains, &signer);
		if (signer.status >= SIGNER_BROKEN) {
			session_find(session, &codes[SIGN_FROM_UNUSABLE],
			             arena_printf(session->arena, "%s, one of them of %s", why, authors->domains[i]), NULL);
			return;
		}
	}
	session_find(session, &codes[SIGN_UNSIGNED], why, NULL);
}

static void sign_message(struct signing *signing)
{
	struct session *session = signing->session;
	struct authors authors;
	author_find(session->arena, session_headers(session), &session->author);
	authors_find(session, &authors);
	switch (session->author.status) {
	case AUTHOR_OK:
		sign_author(signing, session->author.address.domain);
		break;
	case AUTHOR_MANY_DOMAINS:
		session_find(session, &codes[SIGN_FROM_MANY], NULL, NULL);
		for (size_t i = 0; i < authors.count; i++) {
			sign_author(signing, authors.domains[i]);
		}
		break;
	case AUTHOR_NO_FROM:
	case AUTHOR_EMPTY:
	case AUTHOR_NO_DOMAIN:
	case AUTHOR_MANY_FROM:
	case AUTHOR_MALFORMED:
		sign_unusable(signing, &authors);
		break;
	}
	const char *fragile = session->signature_count > 0 ? dkim_sign_fragile(signing->draft) : NULL;
	if (fragile != NULL) {
		session_find(session, &codes[SIGN_FRAGILE], fragile, NULL);
	}
}

static bool others_done(const struct session *session)
{
	for (size_t i = 0; i < stages_count; i++) {
		if (stages[i] != &stage_sign && (session->stages_done & UINT32_C(1) << i) == 0) {
			return false;
		}
	}
	return true;
}

static enum stage_progress sign_end(struct session *session, const void *settings)
{
	if (!others_done(session)) {
		return STAGE_PENDING;
	}
	/* A message that is not whole does not go anywhere: stage_message sees to it. */
	if (session->message == NULL || session->message_status != MESSAGE_OK) {
		return STAGE_DONE;
	}
	struct keys *keys = keystore_acquire(engine_keystore(session->engine));
	struct signing signing = {.session = session, .settings = settings, .keys = keys};
	sign_message(&signing);
	signing_close(&signing);
	keys_release(keys);
	return STAGE_DONE;
}

const struct stage stage_sign = {
    .section = {.name = "sign",
                .help = "DKIM signatures on outbound mail (RFC 6376), with the keys of the author's domain.",
                .options = options,
                .settings_size = sizeof(struct sign_settings),
                .codes = codes,
                .mode = MODE_ENFORCE},
    .outbound = true,
	.released = true,
    .on = {[PHASE_END] = sign_end},
};
