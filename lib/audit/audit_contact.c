#include "lib/audit/audit_contact.h"

#include "lib/base/clock.h"

void audit_contact_make(const struct audit *audit, const struct audit_contact_settings *settings, struct arena *arena,
                        struct audit_contact *contact_r)
{
	uint64_t end = clock_now() + AUDIT_CONTACT_ALL_S * CLOCK_NS_PER_S;
	*contact_r = (struct audit_contact){.host_count = audit->host_count};
	for (size_t i = 0; i < audit->host_count; i++) {
		uint64_t deadline = clock_now() + AUDIT_CONTACT_HOST_S * CLOCK_NS_PER_S;
		if (audit->hosts[i].usable && deadline <= end) {
			audit_smtp_probe(&audit->hosts[i], settings, deadline, arena, &contact_r->servers[i]);
		}
	}
	if (audit->sts_published && audit->policy_address_count > 0) {
		audit_policy_fetch(audit, settings, arena, contact_r);
	}
}
