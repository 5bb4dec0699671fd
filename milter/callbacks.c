#include "milter/callbacks.h"

#include "lib/base/clock.h"
#include "lib/base/log.h"
#include "lib/pipeline/meter.h"
#include "lib/pipeline/stages.h"
#include "lib/policy/globals.h"
#include "milter/edits.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <libmilter/mfapi.h>

enum {
	BACKLOG = 1024,
	IO_TIMEOUT = 900, /* seconds without a word from the MTA; an SMTP client may be silent for 5 minutes */
	ANSWER_MS = 500,  /* for libmilter to send an answer once its callback has returned */
	FDS_SESSION = 3,  /* descriptors of a session: its socket, its message, its call to listener_wake() */
	FDS_OTHER = 256,  /* of everything else: resolver, workers, log */
	REPLY_MAX = 900,  /* bytes of text that libmilter takes in a reply, and some room */
};

/* One connection of the MTA. */
struct connection {
	struct session *session;
	bool leading_space;     /* header values come with the blank behind the colon */
	unsigned long no_reply; /* SMFIP_NR_* that were agreed upon */
	bool in_transaction;
};

static struct {
	struct engine *engine;
	struct listener *listener;
	size_t sessions_most; /* that there are descriptors for */
	atomic_bool draining;
	atomic_bool given_away; /* another process takes connections: those that we have are finished in peace */
	atomic_size_t sessions;
	atomic_size_t connections; /* sessions, and those that have not said who is connected */
	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t changed;
	size_t transactions;
	uint64_t answered; /* when the last one was */
	bool stopped;      /* by callbacks_stop() */
	bool gave_up;      /* smfi_main() has returned */
} server = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

/* libmilter waits for HUP, TERM and INT in a thread of its own and stops at any of them, handled or not. Signals are
 * milter/signals.c's affair, which waits by other means: libmilter's thread, the one caller of this function, sleeps.
 */
int sigwait(const sigset_t *set, int *signal_r)
{
	(void)set, (void)signal_r;
	for (;;) {
		pause();
	}
}

static void transaction_begin(struct connection *connection)
{
	if (!connection->in_transaction) {
		connection->in_transaction = true;
		pthread_mutex_lock(&server.lock);
		server.transactions++;
		pthread_mutex_unlock(&server.lock);
	}
}

/* answered: libmilter has an answer to send. */
static void transaction_end(struct connection *connection, bool answered)
{
	if (connection->in_transaction) {
		connection->in_transaction = false;
		pthread_mutex_lock(&server.lock);
		server.transactions--;
		server.answered = answered ? clock_now() : server.answered;
		pthread_cond_broadcast(&server.changed);
		pthread_mutex_unlock(&server.lock);
	}
}

/* A reply's text: "%" is libmilter's own escape, and Sendmail drops a text with a bare one. */
static void set_reply(SMFICTX *ctx, const char *code, const char *enhanced, const char *text)
{
	char safe[REPLY_MAX * 2 + 1];
	size_t n = 0;
	for (size_t i = 0; text[i] != '\0' && i < REPLY_MAX && n < REPLY_MAX; i++) {
		if (text[i] == '%') {
			safe[n++] = '%';
		}
		safe[n++] = text[i];
	}
	safe[n] = '\0';
	if (smfi_setreply(ctx, (char *)(uintptr_t)code, (char *)(uintptr_t)enhanced, safe) != MI_SUCCESS) {
		log_error("libmilter does not take the reply \"%s %s\"", code, enhanced);
	}
}

static const char *macro(SMFICTX *ctx, const char *name)
{
	return smfi_getsymval(ctx, (char *)(uintptr_t)name);
}

static sfsistat go_on(const struct connection *connection, unsigned long no_reply)
{
	return (connection->no_reply & no_reply) != 0 ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

#define TLS_MACROS "{tls_version} {cipher} {cipher_bits} {cert_subject} {cert_issuer} {verify}"

static void request_macros(SMFICTX *ctx)
{
	static const struct {
		int stage;
		const char *names;
	} lists[] = {
	    {SMFIM_CONNECT, "j v {daemon_name} {daemon_addr} {if_addr} {client_addr} {client_name} {client_ptr} {client_resolve}"},
	    {SMFIM_HELO, TLS_MACROS},
	    {SMFIM_ENVFROM, "i {auth_authen} {auth_type} " TLS_MACROS},
	    {SMFIM_ENVRCPT, "i {rcpt_mailer} {rcpt_host}"},
	    {SMFIM_EOM, "i"},
	};
	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		smfi_setsymlist(ctx, lists[i].stage, (char *)(uintptr_t)lists[i].names);
	}
}

static sfsistat on_negotiate(SMFICTX *ctx, unsigned long actions, unsigned long steps, unsigned long unused2,
                             unsigned long unused3, unsigned long *actions_r, unsigned long *steps_r,
                             unsigned long *unused2_r, unsigned long *unused3_r)
{
	const unsigned long needed = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_QUARANTINE | SMFIF_DELRCPT;
	const unsigned long no_reply = SMFIP_NR_HELO | SMFIP_NR_MAIL | SMFIP_NR_HDR | SMFIP_NR_EOH | SMFIP_NR_BODY;
	(void)unused2, (void)unused3;
	if ((actions & needed) != needed) {
		log_error("the MTA does not let us change headers, quarantine or remove recipients: it is not served");
		return SMFIS_REJECT;
	}
	*actions_r = needed | (actions & SMFIF_SETSYMLIST);
	*steps_r = steps & (SMFIP_NOUNKNOWN | SMFIP_NODATA | SMFIP_HDR_LEADSPC | SMFIP_RCPT_REJ | no_reply);
	*unused2_r = *unused3_r = 0;
	if ((actions & SMFIF_SETSYMLIST) != 0) {
		request_macros(ctx);
	}
	struct connection *connection = calloc(1, sizeof *connection);
	if (connection == NULL || smfi_setpriv(ctx, connection) != MI_SUCCESS) {
		free(connection);
		return SMFIS_REJECT;
	}
	atomic_fetch_add(&server.connections, 1);
	connection->leading_space = (*steps_r & SMFIP_HDR_LEADSPC) != 0;
	connection->no_reply = *steps_r & no_reply;
	return SMFIS_CONTINUE;
}

/* Out of descriptors libmilter spins, and a session that gets no thread hangs: there is a most. */
static bool session_enter(void)
{
	struct config *config = engine_config(server.engine);
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	size_t most = globals->sessions_max < server.sessions_most ? globals->sessions_max : server.sessions_most;
	config_release(config);
	if (atomic_fetch_add(&server.sessions, 1) < most) {
		return true;
	}
	atomic_fetch_sub(&server.sessions, 1);
	meter_count(engine_meter(server.engine), METER_SESSION_REFUSED, 1);
	return false;
}

/* Has the MTA led the name back to the address? Postfix gives no other name; Sendmail says so by {client_resolve}; of others it
 * is not known. */
static bool name_verified(SMFICTX *ctx, const char *host)
{
	const char *resolved = macro(ctx, "{client_resolve}");
	bool postfix = macro(ctx, "v") != NULL && strncasecmp(macro(ctx, "v"), "Postfix", 7) == 0;
	bool named = host != NULL && host[0] != '\0' && host[0] != '[' && strcasecmp(host, "unknown") != 0;
	return named && (postfix || (resolved != NULL && strcmp(resolved, "OK") == 0));
}

/* The address of ours that the client has connected to: Postfix and Sendmail have a macro each. */
static const char *local_address(SMFICTX *ctx)
{
	const char *address = macro(ctx, "{daemon_addr}");
	return macro(ctx, "{if_addr}") != NULL ? macro(ctx, "{if_addr}") : address;
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address)
{
	struct connection *connection = smfi_getpriv(ctx);
	struct ip client;
	if (connection == NULL) {
		return SMFIS_TEMPFAIL;
	}
	if (atomic_load(&server.draining)) {
		set_reply(ctx, "451", "4.3.2", "Restarting, please try again");
		return SMFIS_TEMPFAIL;
	}
	if (!session_enter()) {
		set_reply(ctx, "451", "4.3.2", "Too many connections, please try again later");
		return SMFIS_TEMPFAIL;
	}
	/* No address: local submission. */
	if (!ip_from_sockaddr(address, &client)) {
		ip_parse("127.0.0.1", &client);
	}
	connection->session = session_create(server.engine);
	if (name_verified(ctx, host)) {
		session_name_verified(connection->session);
	}
	session_local(connection->session, local_address(ctx));
	session_connect(connection->session, &client, host, macro(ctx, "j"));
	session_mta(connection->session, macro(ctx, "v"));
	return SMFIS_CONTINUE;
}

/* Sendmail's {verify}: OK, or why not; NO and NOT are no certificate. Postfix (3.7.11) has no such macro, and names a
 * certificate only where it has verified it. */
static enum session_cert cert_verified(const char *verify, const char *subject)
{
	if (verify == NULL || verify[0] == '\0') {
		return subject == NULL || subject[0] == '\0' ? SESSION_CERT_UNKNOWN : SESSION_CERT_VERIFIED;
	}
	return strcmp(verify, "OK") == 0 ? SESSION_CERT_VERIFIED : SESSION_CERT_NOT_VERIFIED;
}

/* After STARTTLS HELO comes again, and with it what the session has. */
static void learn_tls(SMFICTX *ctx, struct session *session)
{
	const char *bits = macro(ctx, "{cipher_bits}");
	unsigned long long number = 0;
	struct session_tls tls = {
	    .version = macro(ctx, "{tls_version}"),
	    .cipher = macro(ctx, "{cipher}"),
	    .cert_subject = macro(ctx, "{cert_subject}"),
	    .cert_issuer = macro(ctx, "{cert_issuer}"),
	};
	tls.verified = cert_verified(macro(ctx, "{verify}"), tls.cert_subject);
	if (tls.version == NULL || tls.version[0] == '\0' || session->tls_version[0] != '\0') {
		return;
	}
	if (bits != NULL && slice_to_uint(slice_from(bits), 65536, &number)) {
		tls.bits = (unsigned)number;
	}
	session_tls(session, &tls);
}

static sfsistat on_helo(SMFICTX *ctx, char *helo)
{
	struct connection *connection = smfi_getpriv(ctx);
	if (connection == NULL || connection->session == NULL) {
		return SMFIS_TEMPFAIL;
	}
	learn_tls(ctx, connection->session);
	session_helo(connection->session, helo == NULL ? "" : helo);
	return go_on(connection, SMFIP_NR_HELO);
}

static sfsistat on_mail(SMFICTX *ctx, char **arguments)
{
	struct connection *connection = smfi_getpriv(ctx);
	if (connection == NULL || connection->session == NULL) {
		return SMFIS_TEMPFAIL;
	}
	transaction_begin(connection);
	learn_tls(ctx, connection->session);
	session_mail(connection->session, arguments[0], macro(ctx, "{auth_authen}"), macro(ctx, "i"), 0);
	for (size_t i = 1; arguments[i] != NULL; i++) {
		if (strcasecmp(arguments[i], "SMTPUTF8") == 0) {
			session_smtputf8(connection->session);
		} else if (strcasecmp(arguments[i], "ENVID=" RELEASE_ENVID) == 0) {
			session_releasing(connection->session);
		}
	}
	return go_on(connection, SMFIP_NR_MAIL);
}

static sfsistat refuse(SMFICTX *ctx, const struct verdict *verdict)
{
	char code[8];
	snprintf(code, sizeof code, "%u", verdict->code);
	set_reply(ctx, code, verdict->enhanced, verdict->text);
	return verdict->action == VERDICT_REJECT ? SMFIS_REJECT : SMFIS_TEMPFAIL;
}

/* With SMFIP_RCPT_REJ we are told of recipients that the MTA refuses; {rcpt_host} is the status then (RFC 3463). */
static bool is_rejected(SMFICTX *ctx, bool *for_good_r)
{
	const char *mailer = macro(ctx, "{rcpt_mailer}");
	const char *status = macro(ctx, "{rcpt_host}");
	*for_good_r = status != NULL && status[0] == '5';
	return mailer != NULL && strcmp(mailer, "error") == 0;
}

static sfsistat on_rcpt(SMFICTX *ctx, char **arguments)
{
	struct connection *connection = smfi_getpriv(ctx);
	bool for_good;
	if (connection == NULL || connection->session == NULL || !connection->in_transaction) {
		return SMFIS_TEMPFAIL;
	}
	listener_wake(server.listener);
	if (is_rejected(ctx, &for_good)) {
		if (for_good) {
			session_rcpt_rejected(connection->session);
		}
		return SMFIS_CONTINUE;
	}
	session_queue_id(connection->session, macro(ctx, "i"));
	switch (session_rcpt(connection->session, arguments[0])) {
	case SESSION_RCPT_OK:
		break;
	case SESSION_RCPT_TOO_MANY:
		set_reply(ctx, "452", "4.5.3", "Too many recipients for one message");
		return SMFIS_TEMPFAIL;
	case SESSION_RCPT_REFUSED:
		return refuse(ctx, &connection->session->recipients[connection->session->recipient_count - 1].verdict);
	}
	return SMFIS_CONTINUE;
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
	struct connection *connection = smfi_getpriv(ctx);
	if (connection == NULL || !connection->in_transaction) {
		return SMFIS_TEMPFAIL;
	}
	struct slice text = slice_from(value == NULL ? "" : value);
	if (!connection->leading_space) {
		text = slice_from(arena_printf(connection->session->arena, " %s", text.data));
	}
	session_header(connection->session, slice_from(name), text);
	return go_on(connection, SMFIP_NR_HDR);
}

static sfsistat on_headers_end(SMFICTX *ctx)
{
	struct connection *connection = smfi_getpriv(ctx);
	if (connection == NULL || !connection->in_transaction) {
		return SMFIS_TEMPFAIL;
	}
	session_queue_id(connection->session, macro(ctx, "i"));
	session_headers_end(connection->session);
	return go_on(connection, SMFIP_NR_EOH);
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *data, size_t n)
{
	struct connection *connection = smfi_getpriv(ctx);
	if (connection == NULL || !connection->in_transaction) {
		return SMFIS_TEMPFAIL;
	}
	session_body(connection->session, data, n);
	return go_on(connection, SMFIP_NR_BODY);
}

static bool delete_header(void *ctx, const char *name, int index)
{
	return smfi_chgheader(ctx, (char *)(uintptr_t)name, index, NULL) == MI_SUCCESS;
}

static bool insert_header(void *ctx, const char *name, const char *value, int position)
{
	return smfi_insheader(ctx, position, (char *)(uintptr_t)name, (char *)(uintptr_t)value) == MI_SUCCESS;
}

static bool delete_recipient(void *ctx, const char *path)
{
	return smfi_delrcpt(ctx, (char *)(uintptr_t)path) == MI_SUCCESS;
}

static sfsistat deliver(SMFICTX *ctx, struct connection *connection, const struct verdict *verdict)
{
	struct edit_target target = {.delete_header = delete_header,
	                             .insert_header = insert_header,
	                             .delete_recipient = delete_recipient,
	                             .context = ctx,
	                             .leading_space = connection->leading_space};
	bool good = edits_apply(connection->session, &target);
	if (good && connection->session->answer == DELIVERY_HOLD) {
		good = smfi_quarantine(ctx, (char *)(uintptr_t)verdict->text) == MI_SUCCESS;
	}
	if (!good) {
		log_error("%s: the MTA did not take our changes: the message is put off", connection->session->queue_id);
		set_reply(ctx, "451", "4.3.0", "Local error, please try again later");
		return SMFIS_TEMPFAIL;
	}
	return SMFIS_CONTINUE;
}

static sfsistat on_message_end(SMFICTX *ctx)
{
	struct connection *connection = smfi_getpriv(ctx);
	if (connection == NULL || !connection->in_transaction) {
		return SMFIS_TEMPFAIL;
	}
	listener_wake(server.listener);
	session_queue_id(connection->session, macro(ctx, "i"));
	const struct verdict *verdict = session_end(connection->session);
	sfsistat status = SMFIS_TEMPFAIL;
	switch (connection->session->answer) {
	case DELIVERY_PASS:
	case DELIVERY_HOLD:
		status = deliver(ctx, connection, verdict);
		break;
	case DELIVERY_TEMPFAIL:
	case DELIVERY_REJECT:
		status = refuse(ctx, verdict);
		break;
	case DELIVERY_TAKE:
		status = SMFIS_DISCARD;
		break;
	}
	session_abort(connection->session);
	transaction_end(connection, true);
	return status;
}

static sfsistat on_abort(SMFICTX *ctx)
{
	struct connection *connection = smfi_getpriv(ctx);
	if (connection != NULL && connection->session != NULL) {
		session_abort(connection->session);
		transaction_end(connection, false);
	}
	return SMFIS_CONTINUE;
}

/* Who waits for the last connection is told. */
static void connection_gone(void)
{
	if (atomic_load(&server.given_away)) {
		pthread_mutex_lock(&server.lock);
		server.answered = clock_now();
		pthread_cond_broadcast(&server.changed);
		pthread_mutex_unlock(&server.lock);
	}
}

static sfsistat on_close(SMFICTX *ctx)
{
	struct connection *connection = smfi_getpriv(ctx);
	if (connection == NULL) {
		return SMFIS_CONTINUE;
	}
	smfi_setpriv(ctx, NULL);
	if (connection->session != NULL) {
		session_destroy(connection->session);
		atomic_fetch_sub(&server.sessions, 1);
	}
	transaction_end(connection, false);
	atomic_fetch_sub(&server.connections, 1);
	connection_gone();
	free(connection);
	return SMFIS_CONTINUE;
}

bool callbacks_open(struct listener *listener, char **error_r)
{
	static char name[] = "mailreeve";
	struct smfiDesc description = {
	    .xxfi_name = name,
	    .xxfi_version = SMFI_VERSION,
	    .xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS | SMFIF_QUARANTINE | SMFIF_DELRCPT | SMFIF_SETSYMLIST,
	    .xxfi_connect = on_connect,
	    .xxfi_helo = on_helo,
	    .xxfi_envfrom = on_mail,
	    .xxfi_envrcpt = on_rcpt,
	    .xxfi_header = on_header,
	    .xxfi_eoh = on_headers_end,
	    .xxfi_body = on_body,
	    .xxfi_eom = on_message_end,
	    .xxfi_abort = on_abort,
	    .xxfi_close = on_close,
	    .xxfi_negotiate = on_negotiate,
	};
	server.listener = listener;
	mode_t before = umask(0777 & ~listener_mode(listener));
	bool good = smfi_register(description) == MI_SUCCESS &&
	            smfi_setconn((char *)(uintptr_t)listener_spec(listener)) == MI_SUCCESS &&
	            smfi_settimeout(IO_TIMEOUT) == MI_SUCCESS && smfi_setbacklog(BACKLOG) == MI_SUCCESS &&
	            smfi_opensocket(1) == MI_SUCCESS;
	umask(before);
	if (good) {
		return listener_bound(listener, error_r);
	}
	if (asprintf(error_r, "socket %s: libmilter cannot listen there: %s", listener_spec(listener),
	                      strerror(errno)) < 0) {
		abort();
	}
	return false;
}

static void *run_library(void *unused)
{
	pthread_setname_np(pthread_self(), "milter");
	smfi_main();
	pthread_mutex_lock(&server.lock);
	server.gave_up = true;
	pthread_cond_broadcast(&server.changed);
	pthread_mutex_unlock(&server.lock);
	return unused;
}

static void limit_sessions(void)
{
	struct rlimit limit;
	struct config *config = engine_config(server.engine);
	const struct globals *globals = config_settings(config, SECTION_GLOBALS);
	server.sessions_most = SIZE_MAX;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
		server.sessions_most =
		    limit.rlim_cur < FDS_OTHER + FDS_SESSION ? 1 : (limit.rlim_cur - FDS_OTHER) / FDS_SESSION;
	}
	if (server.sessions_most < globals->sessions_max) {
		log_warning("sessions_max is %llu, but a limit of %llu descriptors is enough for %zu",
		            (unsigned long long)globals->sessions_max, (unsigned long long)limit.rlim_cur,
		            server.sessions_most);
	}
	config_release(config);
}

/* smfi_stop() would take seconds, and waits for nobody anyway: once we have drained, the process simply ends. */
bool callbacks_run(struct engine *engine)
{
	pthread_t thread;
	server.engine = engine;
	limit_sessions();
	if (pthread_create(&thread, NULL, run_library, NULL) != 0) {
		return false;
	}
	pthread_detach(thread);
	pthread_mutex_lock(&server.lock);
	while (!server.stopped && !server.gave_up) {
		pthread_cond_wait(&server.changed, &server.lock);
	}
	bool stopped = server.stopped;
	pthread_mutex_unlock(&server.lock);
	return stopped;
}

void callbacks_give_away(void *unused)
{
	(void)unused;
	atomic_store(&server.given_away, true);
	listener_give_away(server.listener);
	/* What libmilter has accepted shows itself within that time. */
	connection_gone();
}

/* The lock is held. An MTA whose connection goes away between two messages answers for us: where another process has
 * taken our place there is no need for that. */
static bool is_busy(void)
{
	return server.transactions > 0 || (atomic_load(&server.given_away) && atomic_load(&server.connections) > 0);
}

size_t callbacks_drain(uint64_t deadline)
{
	uint64_t end;
	atomic_store(&server.draining, !atomic_load(&server.given_away));
	listener_withdraw(server.listener);
	pthread_mutex_lock(&server.lock);
	while (end = is_busy() ? deadline : server.answered + ANSWER_MS * CLOCK_NS_PER_MS,
	       clock_now() < end) {
		struct timespec until = clock_timespec(end);
		pthread_cond_clockwait(&server.changed, &server.lock, CLOCK_MONOTONIC, &until);
	}
	size_t left = server.transactions;
	pthread_mutex_unlock(&server.lock);
	return left;
}

size_t callbacks_running(void)
{
	pthread_mutex_lock(&server.lock);
	size_t n = server.transactions;
	pthread_mutex_unlock(&server.lock);
	return n;
}

void callbacks_stop(void)
{
	pthread_mutex_lock(&server.lock);
	server.stopped = true;
	pthread_cond_broadcast(&server.changed);
	pthread_mutex_unlock(&server.lock);
}
