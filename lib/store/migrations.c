#include "lib/store/migrations.h"

const struct store_migration store_migrations[] = {
    /* store_spool: the last batch of each queue of store_write_later(); one that comes again violates the check. */
    {"counters of changes, queues",
     "CREATE TABLE store_counter (subject TEXT NOT NULL PRIMARY KEY, value BIGINT NOT NULL);"
     "CREATE TABLE store_spool (id TEXT NOT NULL PRIMARY KEY, sequence BIGINT NOT NULL,"
     " step BIGINT NOT NULL CHECK (step > 0), changed BIGINT NOT NULL);"},
    {"DMARC aggregate reports",
     "CREATE TABLE dmarc_report (day BIGINT NOT NULL, domain TEXT NOT NULL, record TEXT NOT NULL, state BIGINT NOT NULL,"
     " attempts BIGINT NOT NULL, due BIGINT NOT NULL, PRIMARY KEY (day, domain));"
     "CREATE INDEX dmarc_report_due ON dmarc_report (state, due);"
     "CREATE TABLE dmarc_row (day BIGINT NOT NULL, domain TEXT NOT NULL, digest TEXT NOT NULL, head TEXT NOT NULL,"
     " tail TEXT NOT NULL, messages BIGINT NOT NULL, PRIMARY KEY (day, domain, digest));"
     "CREATE TABLE dmarc_sent (day BIGINT NOT NULL, domain TEXT NOT NULL, address TEXT NOT NULL,"
     " PRIMARY KEY (day, domain, address));"},
    {"turns of periodic tasks", "CREATE TABLE store_turn (task TEXT NOT NULL PRIMARY KEY, until BIGINT NOT NULL);"},
    /* Ids grow with time (history_new_id()), and every search is by time: the tables lie in its order. */
    {"history",
     "CREATE TABLE history_message (id %ID%, time BIGINT NOT NULL, host TEXT NOT NULL, queue_id TEXT NOT NULL,"
     " support_id TEXT NOT NULL, direction TEXT NOT NULL, peer TEXT NOT NULL, client TEXT NOT NULL,"
     " client_name TEXT NOT NULL, helo TEXT NOT NULL, country TEXT NOT NULL, asn BIGINT NOT NULL, as_name TEXT NOT NULL,"
     " tls_version TEXT NOT NULL, tls_cipher TEXT NOT NULL, auth_user TEXT NOT NULL, mail_from TEXT NOT NULL,"
     " mail_from_domain TEXT NOT NULL, author TEXT NOT NULL, author_domain TEXT NOT NULL, subject TEXT NOT NULL,"
     " message_id TEXT NOT NULL, size BIGINT NOT NULL, spf TEXT NOT NULL, dkim TEXT NOT NULL, arc TEXT NOT NULL,"
     " dmarc TEXT NOT NULL, dmarc_domain TEXT NOT NULL, results TEXT NOT NULL, action TEXT NOT NULL, reason TEXT NOT NULL,"
     " reply TEXT NOT NULL, score DOUBLE PRECISION NOT NULL, milliseconds BIGINT NOT NULL, ended BIGINT NOT NULL,"
     " recipient_count BIGINT NOT NULL);"
     "CREATE INDEX history_message_queue_id ON history_message (queue_id);"
     "CREATE INDEX history_message_support_id ON history_message (support_id);"
     "CREATE INDEX history_message_client ON history_message (client, id);"
     "CREATE TABLE history_recipient (message BIGINT NOT NULL, position BIGINT NOT NULL, address TEXT NOT NULL,"
     " domain TEXT NOT NULL, action TEXT NOT NULL, reply TEXT NOT NULL, refused BIGINT NOT NULL,"
     " PRIMARY KEY (message, position));"
     "CREATE INDEX history_recipient_address ON history_recipient (lower(address), message);"
     "CREATE INDEX history_recipient_domain ON history_recipient (domain, message);"
     "CREATE INDEX history_recipient_action ON history_recipient (action, message);"
     "CREATE TABLE history_sender (message BIGINT NOT NULL, address TEXT NOT NULL, domain TEXT NOT NULL);"
     "CREATE INDEX history_sender_message ON history_sender (message);"
     "CREATE INDEX history_sender_address ON history_sender (lower(address), message);"
     "CREATE INDEX history_sender_domain ON history_sender (domain, message);"
     "CREATE TABLE history_finding (message BIGINT NOT NULL, position BIGINT NOT NULL, stage TEXT NOT NULL,"
     " code TEXT NOT NULL, detail TEXT NOT NULL, action TEXT NOT NULL, effective TEXT NOT NULL, mode TEXT NOT NULL,"
     " would BIGINT NOT NULL, recipient BIGINT NOT NULL, PRIMARY KEY (message, position));"
     "CREATE INDEX history_finding_code ON history_finding (code, message);"
     "CREATE INDEX history_finding_would ON history_finding (message) WHERE would = 1;"
     "CREATE TABLE history_dns (message BIGINT NOT NULL PRIMARY KEY, zone TEXT NOT NULL);"
     "CREATE TABLE history_tls (day BIGINT NOT NULL, domain TEXT NOT NULL, version TEXT NOT NULL, messages BIGINT NOT NULL,"
     " accepted BIGINT NOT NULL, authenticated BIGINT NOT NULL, PRIMARY KEY (day, domain, version));"},
    {"reports that others sent",
     "CREATE TABLE received_report (id BIGINT NOT NULL PRIMARY KEY, kind TEXT NOT NULL, org TEXT NOT NULL,"
     " report_id TEXT NOT NULL, domain TEXT NOT NULL, policy TEXT NOT NULL, begins BIGINT NOT NULL, ends BIGINT NOT NULL,"
     " imported BIGINT NOT NULL);"
     "CREATE INDEX received_report_domain ON received_report (domain, ends);"
     "CREATE TABLE received_row (report BIGINT NOT NULL, position BIGINT NOT NULL, source TEXT NOT NULL,"
     " disposition TEXT NOT NULL, dkim TEXT NOT NULL, spf TEXT NOT NULL, header_from TEXT NOT NULL,"
     " dkim_domains TEXT NOT NULL, spf_domain TEXT NOT NULL, messages BIGINT NOT NULL, mx TEXT NOT NULL,"
     " details TEXT NOT NULL, success BIGINT NOT NULL, failure BIGINT NOT NULL, PRIMARY KEY (report, position));"},
    /* A bucket is full again at tat, in nanoseconds since the epoch; what is seen counts until then, in seconds. */
    {"rate limits",
     "CREATE TABLE rate_bucket (rule TEXT NOT NULL, name TEXT NOT NULL, tat BIGINT NOT NULL, allowed BIGINT NOT NULL,"
     " refused BIGINT NOT NULL, PRIMARY KEY (rule, name));"
     "CREATE INDEX rate_bucket_tat ON rate_bucket (tat);"
     "CREATE TABLE rate_seen (rule TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, until BIGINT NOT NULL,"
     " PRIMARY KEY (rule, name, value));"
     "CREATE INDEX rate_seen_until ON rate_seen (until);"
     "CREATE TABLE rate_lock (name TEXT NOT NULL PRIMARY KEY, reason TEXT NOT NULL, since BIGINT NOT NULL,"
     " until BIGINT NOT NULL);"},
    /* passed: 0 waits, 1 has passed, 2 a network, whose senders that passed are good. Seconds since the epoch. */
    {"greylist",
     "CREATE TABLE greylist (name TEXT NOT NULL PRIMARY KEY, first BIGINT NOT NULL, until BIGINT NOT NULL,"
     " passed BIGINT NOT NULL, tries BIGINT NOT NULL, good BIGINT NOT NULL);"
     "CREATE INDEX greylist_until ON greylist (until);"
     "CREATE INDEX greylist_first ON greylist (passed, first);"},
    /* action 0: it was removed; change: store_counter "lists" at that moment. list_import: on its way into list_entry. */
    {"allow and block lists",
     "CREATE TABLE list_entry (owner TEXT NOT NULL, value TEXT NOT NULL, kind TEXT NOT NULL, action BIGINT NOT NULL,"
     " enforced BIGINT NOT NULL, forced BIGINT NOT NULL, expires BIGINT NOT NULL, added BIGINT NOT NULL, added_by TEXT NOT NULL,"
     " note TEXT NOT NULL, change BIGINT NOT NULL, PRIMARY KEY (owner, value));"
     "CREATE INDEX list_entry_change ON list_entry (change);"
     "CREATE TABLE list_import (import BIGINT NOT NULL, line BIGINT NOT NULL, begun BIGINT NOT NULL, owner TEXT NOT NULL,"
     " value TEXT NOT NULL, kind TEXT NOT NULL, action BIGINT NOT NULL, enforced BIGINT NOT NULL, forced BIGINT NOT NULL,"
     " expires BIGINT NOT NULL, added BIGINT NOT NULL, added_by TEXT NOT NULL, note TEXT NOT NULL,"
     " PRIMARY KEY (import, owner, value));"},
    /* quarantine_copy_same: one held copy of a message from a sender to a recipient; see quarantine.h. */
    {"quarantine",
     "CREATE TABLE quarantine_message (id TEXT NOT NULL PRIMARY KEY, created BIGINT NOT NULL, queue_id TEXT NOT NULL,"
     " support_id TEXT NOT NULL, direction BIGINT NOT NULL, client TEXT NOT NULL, client_name TEXT NOT NULL, helo TEXT NOT NULL,"
     " auth_user TEXT NOT NULL, mail_from BYTEA NOT NULL, sender TEXT NOT NULL, smtputf8 BIGINT NOT NULL, author TEXT NOT NULL,"
     " subject TEXT NOT NULL, findings TEXT NOT NULL, authres TEXT NOT NULL, size BIGINT NOT NULL, stored BIGINT NOT NULL);"
     "CREATE INDEX quarantine_message_created ON quarantine_message (created);"
     "CREATE TABLE quarantine_content (message TEXT NOT NULL PRIMARY KEY, data BYTEA NOT NULL);"
     "CREATE TABLE quarantine_copy (message TEXT NOT NULL, n BIGINT NOT NULL, recipient BYTEA NOT NULL, owner TEXT NOT NULL,"
     " verdict TEXT NOT NULL, reason TEXT NOT NULL, text TEXT NOT NULL, same TEXT NOT NULL, state TEXT NOT NULL,"
     " expires BIGINT NOT NULL, changed BIGINT NOT NULL, changed_by TEXT NOT NULL, note TEXT NOT NULL, nonce TEXT NOT NULL,"
     " claimed_until BIGINT NOT NULL, used BIGINT NOT NULL, forced BIGINT NOT NULL, PRIMARY KEY (message, n));"
     "CREATE UNIQUE INDEX quarantine_copy_same ON quarantine_copy (same) WHERE state IN ('held', 'releasing');"
     "CREATE INDEX quarantine_copy_owner ON quarantine_copy (owner, state);"
     "CREATE INDEX quarantine_copy_expires ON quarantine_copy (expires);"
     "CREATE TABLE quarantine_key (id BIGINT NOT NULL PRIMARY KEY, key BYTEA NOT NULL);"},
    /* What a message of the history needs to be judged again as it came, and where copies of it are. */
    {"history: certificates, relays, copies",
     "ALTER TABLE history_message ADD COLUMN tls_bits BIGINT NOT NULL DEFAULT 0;"
     "ALTER TABLE history_message ADD COLUMN cert_subject TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE history_message ADD COLUMN cert_issuer TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE history_message ADD COLUMN cert_verified BIGINT NOT NULL DEFAULT 0;"
     "ALTER TABLE history_message ADD COLUMN peer_name TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE history_message ADD COLUMN peer_helo TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE history_recipient ADD COLUMN fate TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE history_recipient ADD COLUMN quarantine TEXT NOT NULL DEFAULT '';"
     "ALTER TABLE history_recipient ADD COLUMN copy BIGINT NOT NULL DEFAULT 0;"},
    /* state: 0 waits, 1 was sent or given up. */
    {"DMARC failure reports",
     "CREATE TABLE dmarc_failure (id BIGINT NOT NULL, day BIGINT NOT NULL, domain TEXT NOT NULL, address TEXT NOT NULL,"
     " parts TEXT NOT NULL, state BIGINT NOT NULL, attempts BIGINT NOT NULL, due BIGINT NOT NULL,"
     " PRIMARY KEY (id, address));"
     "CREATE INDEX dmarc_failure_domain ON dmarc_failure (domain, day);"
     "CREATE INDEX dmarc_failure_due ON dmarc_failure (state, due);"
     "CREATE INDEX dmarc_failure_day ON dmarc_failure (day);"},
    /* token: eight bytes, most significant first. class: 1 ham, 2 spam. version 0: the tokens are no longer kept. change:
     * store_counter "bayes". bayes_change.tokens: those that are others than before; empty: any may be. */
    {"Bayes",
     "CREATE TABLE bayes_owner (owner TEXT NOT NULL, spam BIGINT NOT NULL, ham BIGINT NOT NULL, changed BIGINT NOT NULL,"
     " PRIMARY KEY (owner)) %KEYED%;"
     "CREATE TABLE bayes_token (owner TEXT NOT NULL, token BYTEA NOT NULL, spam BIGINT NOT NULL, ham BIGINT NOT NULL,"
     " seen BIGINT NOT NULL, PRIMARY KEY (owner, token)) %KEYED%;"
     "CREATE TABLE bayes_learnt (owner TEXT NOT NULL, digest BYTEA NOT NULL, class BIGINT NOT NULL, time BIGINT NOT NULL,"
     " version BIGINT NOT NULL, change BIGINT NOT NULL, tokens BYTEA NOT NULL, PRIMARY KEY (owner, digest));"
     "CREATE INDEX bayes_learnt_time ON bayes_learnt (time) WHERE version > 0;"
     "CREATE TABLE bayes_change (change BIGINT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, time BIGINT NOT NULL,"
     " tokens BYTEA NOT NULL);"},
    /* See digests.h. */
    {"reports to users",
     "CREATE TABLE digest_user (owner TEXT NOT NULL PRIMARY KEY, frequency TEXT NOT NULL, language TEXT NOT NULL,"
     " covered BIGINT NOT NULL, sent BIGINT NOT NULL, wanted BIGINT NOT NULL, due BIGINT NOT NULL, trying BIGINT NOT NULL,"
     " attempts BIGINT NOT NULL, nonce TEXT NOT NULL, passed BIGINT NOT NULL);"
     "CREATE INDEX digest_user_due ON digest_user (due) WHERE wanted > 0;"
     "CREATE TABLE digest_address (address TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, newest BIGINT NOT NULL);"
     "CREATE INDEX digest_address_owner ON digest_address (owner);"
     "CREATE INDEX digest_address_newest ON digest_address (newest);"
     "CREATE TABLE digest_progress (id BIGINT NOT NULL PRIMARY KEY, scanned BIGINT NOT NULL, slot BIGINT NOT NULL);"
     "CREATE TABLE digest_link (nonce TEXT NOT NULL PRIMARY KEY, owner TEXT NOT NULL, message TEXT NOT NULL,"
     " copy BIGINT NOT NULL, author TEXT NOT NULL, language TEXT NOT NULL, expires BIGINT NOT NULL, uses BIGINT NOT NULL);"
     "CREATE INDEX digest_link_expires ON digest_link (expires);"
     "CREATE TABLE digest_request (id TEXT NOT NULL PRIMARY KEY, nonce TEXT NOT NULL, verb TEXT NOT NULL,"
     " message_id TEXT NOT NULL, due BIGINT NOT NULL, attempts BIGINT NOT NULL);"
     "CREATE INDEX digest_request_due ON digest_request (due);"
     "CREATE INDEX quarantine_message_support_id ON quarantine_message (support_id);"},
    /* See bayes_auto.h. name: a class, or a network of clients. */
    {"what Bayes learns by itself",
     "CREATE TABLE bayes_auto (day BIGINT NOT NULL, name TEXT NOT NULL, learnt BIGINT NOT NULL,"
     " PRIMARY KEY (day, name)) %KEYED%;"},
};

const size_t store_migrations_count = sizeof store_migrations / sizeof *store_migrations;
