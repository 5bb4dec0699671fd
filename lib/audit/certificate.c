#include "lib/audit/certificate.h"

#include "lib/audit/tlsa.h"

#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdint.h>

enum { NAME_MAX_SHOWN = 200, NAMES_SHOWN = 6, RSA_LEAST = 2048, EC_LEAST = 224, DAY = 86400, KEY_MAX = 65536 };

static const char *name_text(struct arena *arena, const X509_NAME *name)
{
	BIO *out = BIO_new(BIO_s_mem());
	char *data = NULL;
	const char *text = "?";
	if (out != NULL && X509_NAME_print_ex(out, name, 0, XN_FLAG_RFC2253) >= 0) {
		long length = BIO_get_mem_data(out, &data);
		text = text_escape(arena, (struct slice){data, length < 0 ? 0 : (size_t)length}, "", false, NAME_MAX_SHOWN);
	}
	BIO_free(out);
	return text;
}

static const char *alternative_names(struct arena *arena, X509 *leaf)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	struct strbuf text;
	int shown = 0;
	strbuf_init(&text, arena);
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
		if (name->type == GEN_DNS && shown++ < NAMES_SHOWN) {
			struct slice dns = {(const char *)ASN1_STRING_get0_data(name->d.dNSName), (size_t)ASN1_STRING_length(name->d.dNSName)};
			strbuf_printf(&text, "%s%s", text.len == 0 ? "" : " ", text_escape(arena, dns, "", false, NAME_MAX_SHOWN));
		}
	}
	GENERAL_NAMES_free(names);
	strbuf_add_text(&text, shown > NAMES_SHOWN ? " ..." : shown == 0 ? "no name" : "");
	return text.data;
}

static int64_t seconds_until(const ASN1_TIME *time, uint64_t now)
{
	int days = 0;
	int seconds = 0;
	ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)now);
	if (from == NULL || ASN1_TIME_diff(&days, &seconds, from, time) != 1) {
		days = 0;
		seconds = -1; /* a time that cannot be read has passed */
	}
	ASN1_TIME_free(from);
	return (int64_t)days * DAY + seconds;
}

static void read_times(X509 *leaf, uint64_t now, struct audit_server *server)
{
	int64_t left = seconds_until(X509_get0_notAfter(leaf), now);
	server->expired = left < 0;
	server->not_yet = seconds_until(X509_get0_notBefore(leaf), now) > 0;
	server->days_left = left / DAY;
}

static void read_key(struct arena *arena, X509 *leaf, struct audit_server *server)
{
	const EVP_PKEY *key = X509_get0_pubkey(leaf);
	int digest = NID_undef;
	int bits = key == NULL ? 0 : EVP_PKEY_get_bits(key);
	bool rsa = key != NULL && EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA;
	const char *type = key == NULL ? NULL : EVP_PKEY_get0_type_name(key);
	server->key = arena_printf(arena, "%s %d", type == NULL ? "?" : type, bits);
	server->weak_key = bits < (rsa ? RSA_LEAST : EC_LEAST);
	server->weak_signature =
	    X509_get_signature_info(leaf, &digest, NULL, NULL, NULL) == 1 && (digest == NID_sha1 || digest == NID_md5);
}

/* Whether it leads to an authority, whatever the time. */
static void read_trust(X509 *leaf, STACK_OF(X509) *chain, const char *ca_file, struct audit_server *server)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *context = X509_STORE_CTX_new();
	server->trust_problem = "out of memory";
	if (store != NULL && context != NULL) {
		X509_STORE_set_default_paths(store);
		if (ca_file != NULL) {
			X509_STORE_load_file(store, ca_file);
		}
		if (X509_STORE_CTX_init(context, store, leaf, chain) == 1) {
			X509_VERIFY_PARAM *parameters = X509_STORE_CTX_get0_param(context);
			X509_VERIFY_PARAM_set_purpose(parameters, X509_PURPOSE_SSL_SERVER);
			X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_NO_CHECK_TIME);
			X509_VERIFY_PARAM_set_depth(parameters, AUDIT_CHAIN_MAX);
			server->trusted = X509_verify_cert(context) == 1;
			server->trust_problem = X509_verify_cert_error_string(X509_STORE_CTX_get_error(context));
		}
	}
	X509_STORE_CTX_free(context);
	X509_STORE_free(store);
}

/* The certificate or its key as a TLSA record has it. False: larger than KEY_MAX. */
static bool associate(struct arena *arena, X509 *certificate, unsigned selector, unsigned matching, struct slice *data_r)
{
	unsigned char *der = NULL;
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned size = 0;
	int length = selector == 0 ? i2d_X509(certificate, &der) : i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
	bool good = length > 0 && length <= KEY_MAX;
	if (good && matching == 0) {
		*data_r = (struct slice){arena_memdup(arena, der, (size_t)length), (size_t)length};
	} else if (good) {
		good = EVP_Digest(der, (size_t)length, digest, &size, matching == 1 ? EVP_sha256() : EVP_sha512(), NULL) == 1;
		*data_r = (struct slice){arena_memdup(arena, digest, size), size};
	}
	OPENSSL_free(der);
	return good;
}

static bool matches(struct arena *arena, X509 *certificate, const struct tlsa *tlsa)
{
	struct slice data;
	return associate(arena, certificate, tlsa->selector, tlsa->matching, &data) && slice_equal(data, tlsa->data);
}

/* Usage 3 is the certificate itself; 2 one of its chain, and then names count (RFC 7672 3.2.2). */
static bool tlsa_matches(struct arena *arena, X509 *leaf, STACK_OF(X509) *chain, bool name_matches, const struct tlsa *tlsa)
{
	if (tlsa->usage == 3) {
		return matches(arena, leaf, tlsa);
	}
	for (int i = 0; i < sk_X509_num(chain) && i < AUDIT_CHAIN_MAX; i++) {
		if (name_matches && matches(arena, sk_X509_value(chain, i), tlsa)) {
			return true;
		}
	}
	return false;
}

static void read_tlsa(struct arena *arena, X509 *leaf, STACK_OF(X509) *chain, const struct audit_host *host,
                      struct audit_server *server)
{
	struct tlsa own = {.usage = 3, .selector = 1, .matching = 1};
	if (associate(arena, leaf, 1, 1, &own.data)) {
		server->tlsa_record = tlsa_text(arena, &own, 2 * own.data.len);
	}
	for (size_t i = 0; host->tlsa != NULL && i < host->tlsa->count; i++) {
		struct tlsa tlsa;
		if (tlsa_parse(host->tlsa->records[i].data, &tlsa) != TLSA_GOOD || server->tlsa == AUDIT_TLSA_MATCHES) {
			continue;
		}
		server->tlsa = tlsa_matches(arena, leaf, chain, server->name_matches, &tlsa) ? AUDIT_TLSA_MATCHES : AUDIT_TLSA_DIFFERS;
	}
}

bool certificate_read(SSL *ssl, const struct audit_host *host, const struct audit_contact_settings *settings,
                      struct arena *arena, struct audit_server *server_r)
{
	X509 *leaf = SSL_get0_peer_certificate(ssl);
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
	if (leaf == NULL) {
		return false;
	}
	server_r->subject = name_text(arena, X509_get_subject_name(leaf));
	server_r->issuer = name_text(arena, X509_get_issuer_name(leaf));
	server_r->names = alternative_names(arena, leaf);
	server_r->name_matches = X509_check_host(leaf, host->name, 0, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, NULL) == 1;
	read_times(leaf, settings->now, server_r);
	read_key(arena, leaf, server_r);
	read_trust(leaf, chain, settings->ca_file, server_r);
	read_tlsa(arena, leaf, chain, host, server_r);
	return true;
}
