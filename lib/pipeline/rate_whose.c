#include "lib/pipeline/rate_whose.h"

#include "lib/pipeline/client_key.h"
#include "lib/pipeline/pipeline.h"
#include "lib/pipeline/stage_list.h"

static bool in_networks(const struct option_networks *networks, const struct ip *client)
{
	for (size_t i = 0; i < networks->count; i++) {
		if (ip_network_contains(&networks->items[i], client)) {
			return true;
		}
	}
	return false;
}

static enum whose whose_client(struct session *session, const struct rate_settings *settings,
                               const struct rate_rule *rule, const char **name_r)
{
	if (!session->client_known) {
		return WHOSE_LATER;
	}
	if (session->client.family == IP_UNKNOWN || in_networks(&settings->exempt_networks, &session->client)) {
		return WHOSE_NOBODY;
	}
	if (rule->name != NULL) {
		*name_r = rule->name;
		return ip_network_contains(&rule->network, &session->client) ? WHOSE_KNOWN : WHOSE_NOBODY;
	}
	*name_r = rule->subject == RATE_CLIENT ? client_key_address(session->arena, &session->client)
	                                       : client_key_network(session->arena, &session->client);
	return WHOSE_KNOWN;
}

/* Inbound it is his only by SPF, and not by a record that lets anybody. */
static enum whose whose_sender(struct session *session, const struct rate_rule *rule, const char **name_r)
{
	const struct address *from = &session->mail_from;
	if (from->domain[0] == '\0') {
		return WHOSE_NOBODY;
	}
	if (session->direction == DIRECTION_INBOUND) {
		if (!pipeline_runs(session, &stage_spf)) {
			return WHOSE_NOBODY;
		}
		if (!session->spf_known) {
			return WHOSE_LATER;
		}
		if (session->spf.result != AUTH_PASS || session->spf.pass_all != NULL) {
			return WHOSE_NOBODY;
		}
	}
	*name_r = rule->subject == RATE_SENDER_DOMAIN ? from->domain : client_key_mailbox(session->arena, from);
	return rule->name == NULL || strcmp(rule->name, *name_r) == 0 ? WHOSE_KNOWN : WHOSE_NOBODY;
}

static enum whose whose_user(struct session *session, const struct rate_rule *rule, const char **name_r)
{
	if (session->auth_user[0] == '\0') {
		return WHOSE_NOBODY;
	}
	*name_r = client_key_user(session->arena, session->auth_user);
	return rule->name == NULL || strcmp(rule->name, *name_r) == 0 ? WHOSE_KNOWN : WHOSE_NOBODY;
}

static enum whose whose_recipient(struct session *session, const struct rate_settings *settings,
                                  const struct rate_rule *rule, size_t recipient, const char **name_r)
{
	const struct address *to = &session->recipients[recipient].address;
	if (!session->client_known) {
		return WHOSE_LATER;
	}
	if (in_networks(&settings->exempt_networks, &session->client)) {
		return WHOSE_NOBODY;
	}
	const char *who = rule->subject == RATE_RECIPIENT ? client_key_mailbox(session->arena, to) : to->domain;
	*name_r = arena_printf(session->arena, "%s %s", who, client_key_network(session->arena, &session->client));
	return who[0] == '\0' ? WHOSE_NOBODY : WHOSE_KNOWN;
}

enum whose rate_whose(struct session *session, const struct rate_settings *settings, const struct rate_rule *rule,
                      size_t recipient, const char **name_r)
{
	switch (rule->subject) {
	case RATE_CLIENT:
	case RATE_NETWORK:
		return whose_client(session, settings, rule, name_r);
	case RATE_SENDER:
	case RATE_SENDER_DOMAIN:
		return whose_sender(session, rule, name_r);
	case RATE_USER:
		return whose_user(session, rule, name_r);
	case RATE_RECIPIENT:
	case RATE_RECIPIENT_DOMAIN:
		return whose_recipient(session, settings, rule, recipient, name_r);
	case RATE_SUBJECT_COUNT:
		break;
	}
	return WHOSE_NOBODY;
}

bool rate_rule_holds(const struct session *session, const struct rate_rule *rule)
{
	return session->direction == DIRECTION_INBOUND ? rule->inbound : rule->outbound;
}

bool rate_rule_replaced(struct session *session, const struct rate_settings *settings, const struct rate_rule *rule,
                        size_t recipient)
{
	const struct rate_rules *limits = &settings->limits;
	const char *name;
	for (size_t i = 0; rule->name == NULL && i < limits->count; i++) {
		const struct rate_rule *other = &limits->items[i];
		if (other->name != NULL && other->subject == rule->subject && other->unit == rule->unit &&
		    rate_rule_holds(session, other) && rate_whose(session, settings, other, recipient, &name) == WHOSE_KNOWN) {
			return true;
		}
	}
	return false;
}

const char *rate_value_seen(struct session *session, const struct rate_rule *rule, size_t recipient)
{
	switch (rule->unit) {
	case RATE_DISTINCT:
		return client_key_mailbox(session->arena, &session->recipients[recipient].address);
	case RATE_NETWORKS:
		return session->client_known && session->client.family != IP_UNKNOWN
		           ? client_key_network(session->arena, &session->client)
		           : NULL;
	case RATE_COUNTRIES:
		return session->geo.country[0] != '\0' ? session->geo.country : NULL;
	case RATE_MESSAGES:
	case RATE_RECIPIENTS:
	case RATE_BYTES:
	case RATE_FAILURES:
	case RATE_UNIT_COUNT:
		break;
	}
	return "";
}
