#include "lib/auth/dmarc_library.h"

#include "lib/base/log.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/types.h>

/* Its names for policies clash with ours. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wstrict-prototypes"
#include <netinet/in.h>
#include <opendmarc/dmarc.h>
#pragma GCC diagnostic pop
#undef DMARC_POLICY_NONE
#undef DMARC_POLICY_QUARANTINE
#undef DMARC_POLICY_REJECT

enum { ANSWER_REJECT = 16, ANSWER_QUARANTINE = 17, ANSWER_NONE = 18 }; /* <opendmarc/dmarc.h> */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static OPENDMARC_LIB_T library;
static atomic_ulong disagreements;

static void library_init(void)
{
	opendmarc_policy_library_init(&library);
}

unsigned long dmarc_library_disagreements(void)
{
	return atomic_load(&disagreements);
}

static int expected_answer(const struct dmarc_verdict *verdict)
{
	if (verdict->result == AUTH_PASS) {
		return DMARC_POLICY_PASS;
	}
	switch (verdict->policy) {
	case DMARC_POLICY_NONE:
		return ANSWER_NONE;
	case DMARC_POLICY_QUARANTINE:
		return ANSWER_QUARANTINE;
	case DMARC_POLICY_REJECT:
		break;
	}
	return ANSWER_REJECT;
}

/* What is aligned is handed over as the author domain itself; what is not, not at all; the record is rebuilt with the
 * one policy that applies. */
static int library_answer(struct arena *arena, const struct dmarc_verdict *verdict)
{
	unsigned char address[] = "192.0.2.1";
	unsigned char selector[] = "s";
	unsigned char *domain = (unsigned char *)arena_strdup(arena, verdict->domain);
	unsigned char *record =
		(unsigned char *)arena_printf(arena, "v=DMARC1; p=%s; adkim=s; aspf=s", dmarc_policy_name(verdict->policy));
	pthread_once(&once, library_init);
	DMARC_POLICY_T *policy = opendmarc_policy_connect_init(address, 0);
	if (policy == NULL || opendmarc_policy_store_from_domain(policy, domain) != DMARC_PARSE_OKAY) {
		opendmarc_policy_connect_shutdown(policy);
		return -1;
	}
	if (verdict->spf_alignment != DMARC_NOT_ALIGNED) {
		opendmarc_policy_store_spf(policy, domain, DMARC_POLICY_SPF_OUTCOME_PASS, DMARC_POLICY_SPF_ORIGIN_MAILFROM, NULL);
	}
	if (verdict->dkim_alignment != DMARC_NOT_ALIGNED) {
		opendmarc_policy_store_dkim(policy, domain, selector, DMARC_POLICY_DKIM_OUTCOME_PASS, NULL);
	}
	int answer = -1;
	if (opendmarc_policy_store_dmarc(policy, record, domain, NULL) == DMARC_PARSE_OKAY) {
		answer = opendmarc_get_policy_to_enforce(policy);
	}
	opendmarc_policy_connect_shutdown(policy);
	return answer;
}

bool dmarc_library_agrees(struct arena *arena, const struct dmarc_verdict *verdict)
{
	int answer = library_answer(arena, verdict);
	if (answer == expected_answer(verdict)) {
		return true;
	}
	atomic_fetch_add(&disagreements, 1);
	log_warning("DMARC for %s: libopendmarc answers %d where we say %s; ours stands", verdict->domain, answer,
	            auth_result_name(verdict->result));
	return false;
}
