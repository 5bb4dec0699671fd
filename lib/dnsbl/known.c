/* Lists that many use, with the codes that their operators publish. Each has terms of its own; none is on by default.
 */
#include "lib/dnsbl/dnsbl.h"

#include <stddef.h>

const struct dnsbl_known dnsbl_known[] = {
    {"spamhaus-zen",
     "zone=zen.spamhaus.org keyed=%k.zen.dq.spamhaus.net "
     "codes=127.0.0.2:SBL,127.0.0.3:CSS,127.0.0.4-7:XBL,127.0.0.9:DROP,127.0.0.10-11:PBL "
     "url=https://check.spamhaus.org/query/ip/%s",
     "free for small use by an own resolver; with a key of the Data Query Service otherwise"},
    {"spamhaus-dbl",
     "kind=domain zone=dbl.spamhaus.org keyed=%k.dbl.dq.spamhaus.net names=host test=dbltest.com,invalid "
     "codes=127.0.1.2-3:spam,127.0.1.4:phish,127.0.1.5:malware,127.0.1.6:botnet,127.0.1.7-99:bad,"
     "127.0.1.102-103:abused-spam,127.0.1.104:abused-phish,127.0.1.105:abused-malware,127.0.1.106:abused-botnet,"
     "127.0.1.107-199:abused url=https://check.spamhaus.org/query/domain/%s",
     "terms as spamhaus-zen; takes no addresses"},
    {"spamhaus-zrd",
     "kind=domain zone=%k.zrd.dq.spamhaus.net test=test,invalid codes=127.0.2.2-24:new "
     "url=https://check.spamhaus.org/query/domain/%s",
     "domains seen for the first time within a day; only with a key"},
    {"spamcop", "zone=bl.spamcop.net ip=4 codes=127.0.0.2 url=https://www.spamcop.net/w3m?action=checkblock&ip=%s",
     "free"},
    {"barracuda", "zone=b.barracudacentral.org ip=4 codes=127.0.0.2 txt=yes",
     "free after registration of the resolver's address"},
    {"psbl", "zone=psbl.surriel.com codes=127.0.0.2 url=https://psbl.org/listing?ip=%s", "free"},
    {"mailspike",
     "zone=bl.mailspike.net ip=4 codes=127.0.0.2:wave,127.0.0.10:worst,127.0.0.11:bad,127.0.0.12:suspicious txt=yes",
     "free for small use"},
    {"mailspike-good",
     "kind=allow zone=wl.mailspike.net ip=4 codes=127.0.0.18:good:skip,127.0.0.19:very-good,127.0.0.20:excellent",
     "free for small use"},
    {"nordspam", "zone=bl.nordspam.com codes=127.0.0.2 txt=yes", "free"},
    {"nordspam-domains", "kind=domain zone=dbl.nordspam.com codes=127.0.0.2 txt=yes", "free"},
    {"0spam", "zone=bl.0spam.org ip=4 codes=127.0.0.2-99 txt=yes", "free"},
    {"dronebl", "zone=dnsbl.dronebl.org codes=127.0.0.2-19,127.0.0.255 url=https://dronebl.org/lookup?ip=%s", "free"},
    {"uceprotect-1", "zone=dnsbl-1.uceprotect.net codes=127.0.0.2 txt=yes", "free; lists expire after a week"},
    {"abusix",
     "zone=%k.combined.mail.abusix.zone codes=127.0.0.2-3:black,127.0.0.4:exploit,127.0.0.11:dynamic,127.0.0.12:policy "
     "url=https://lookup.abusix.com/search?q=%s",
     "only with a key, free ones for small use"},
    {"abusix-domains",
     "kind=domain zone=%k.dblack.mail.abusix.zone codes=127.0.1.1-3 url=https://lookup.abusix.com/search?q=%s",
     "only with a key"},
    {"abusix-good", "kind=allow zone=%k.white.mail.abusix.zone codes=127.0.2.1", "only with a key"},
    {"surbl",
     "kind=domain zone=multi.surbl.org addresses=yes test=surbl-org-permanent-test-point.com,invalid "
     "codes=127.0.0.&8:phish,127.0.0.&16:malware,127.0.0.&64:abuse,127.0.0.&128:cracked,127.0.0.&4:disposable:skip,"
     "127.0.0.&32:tracker:skip url=https://www.surbl.org/surbl-analysis",
     "free for small use"},
    {"uribl",
     "kind=domain zone=multi.uribl.com test=test.uribl.com,invalid "
     "codes=127.0.0.&2:black,127.0.0.&4:grey:skip,127.0.0.&8:red:skip url=https://lookup.uribl.com/?domain=%s",
     "free for small use; 127.0.0.1 is a refusal"},
    {"dnswl",
     "kind=allow zone=list.dnswl.org codes=127.0.*.0:none:skip,127.0.*.1:low:skip,127.0.*.2:medium,127.0.*.3:high",
     "free for small use; 127.0.0.255 is a refusal"},
    {.name = NULL},
};
