/* generic_name() on names as providers and senders of mail have them. */
#include "lib/auth/generic_name.h"
#include "t/tap.h"

struct row {
	const char *client, *name;
};

/* Of access networks and of hosting, as given by the provider. */
static const struct row generic[] = {
	{"73.12.34.56", "c-73-12-34-56.hsd1.ca.comcast.net"},
	{"93.222.18.52", "p5DDE1234.dip0.t-ipconnect.de"},
	{"93.222.18.52", "p5dde1234.dip.t-dialin.net"},
	{"88.64.1.2", "dslb-088-064-001-002.088.064.pools.vodafone-ip.de"},
	{"88.247.1.2", "88.247.1.2.dynamic.ttnet.com.tr"},
	{"88.247.1.2", "88.247.1.2.static.ttnet.com.tr"},
	{"82.64.1.2", "lns-bzn-45-82-64-1-2.adsl.proxad.net"},
	{"86.234.77.56", "lfbn-idf1-1-77-56.w86-234.abo.wanadoo.fr"},
	{"90.63.12.34", "amontpellier-653-1-12-34.w90-63.abo.wanadoo.fr"},
	{"24.1.2.3", "cpe001122334455-cm001122334456.cpe.net.cable.rogers.com"},
	{"24.80.1.2", "S0106001122334455.vc.shawcable.net"},
	{"68.1.2.3", "ip68-1-2-3.oc.oc.cox.net"},
	{"24.123.12.34", "024-123-012-034.res.spectrum.com"},
	{"66.65.1.2", "cpe-66-65-1-2.nyc.res.rr.com"},
	{"88.12.34.4", "4.red-88-12-34.dynamicip.rima-tde.net"},
	{"80.58.12.99", "99.red-80-58-12.staticip.rima-tde.net"},
	{"87.12.34.56", "host56-34-dynamic.12-87-r.retail.telecomitalia.it"},
	{"91.64.171.205", "ip5b40abcd.dynamic.kabel-deutschland.de"},
	{"80.101.1.2", "a80-101-1-2.adsl.xs4all.nl"},
	{"84.28.1.2", "84-28-1-2.cable.dynamic.v4.ziggo.nl"},
	{"84.28.1.2", "84-28-1-2.fixed.kpn.net"},
	{"155.4.12.34", "h-155-4-12-34.NA.cust.bahnhof.se"},
	{"90.226.12.34", "90-226-12-34-no2204.tbcn.telia.com"},
	{"180.161.4.3", "3.4.161.180.broad.sh.sh.dynamic.163data.com.cn"},
	{"111.240.1.2", "111-240-1-2.dynamic-ip.hinet.net"},
	{"111.240.1.2", "111-240-1-2.HINET-IP.hinet.net"},
	{"60.123.45.67", "softbank060123045067.bbtec.net"},
	{"123.217.1.2", "p1234-ipngn100101tokyo.tokyo.ocn.ne.jp"},
	{"189.24.1.2", "189-24-1-2.user.veloxzone.com.br"},
	{"177.1.2.3", "177.1.2.3.dynamic.adsl.gvt.net.br"},
	{"189.61.1.2", "bd3d0102.virtua.com.br"},
	{"122.160.1.2", "abts-north-dynamic-2.1.160.122.airtelbroadband.in"},
	{"59.182.1.2", "triband-mum-59.182.1.2.mtnl.net.in"},
	{"85.140.1.2", "ppp85-140-1-2.pppoe.mtu-net.ru"},
	{"90.154.1.2", "broadband-90-154-1-2.ip.moscow.rt.ru"},
	{"92.113.3.4", "4-3-113-92.pool.ukrtel.net"},
	{"83.5.1.2", "abcd12.neoplus.adsl.tpnet.pl"},
	{"37.47.1.2", "public-gprs374512.centertel.pl"},
	{"88.198.3.4", "static.4.3.198.88.clients.your-server.de"},
	{"51.38.2.7", "ip7.ip-51-38-2.eu"},
	{"51.38.2.7", "7.ip-51-38-2.eu"},
	{"45.79.1.2", "45-79-1-2.ip.linodeusercontent.com"},
	{"45.33.12.34", "li1034-34.members.linode.com.45.33.12.rev.example"},
	{"54.12.34.56", "ec2-54-12-34-56.compute-1.amazonaws.com"},
	{"34.90.3.4", "4.3.90.34.bc.googleusercontent.com"},
	{"99.12.34.56", "99-12-34-56.lightspeed.sntcca.sbcglobal.net"},
	{"99.1.2.3", "adsl-99-1-2-3.dsl.pltn13.pacbell.net"},
	{"58.165.1.2", "CPE-58-165-1-2.vic.bigpond.net.au"},
	{"92.1.2.3", "host-92-1-2-3.as43234.net"},
	{"90.193.12.34", "5ac10c22.bb.sky.com"},
	{"84.194.18.52", "d54C21234.access.telenet.be"},
	{"87.67.45.123", "123.45-67-87.adsl-dyn.isp.belgacom.be"},
	{"85.1.45.123", "123.45.1.85.dynamic.wline.res.cust.swisscom.ch"},
	{"84.72.1.2", "84-72-1-2.dclient.hispeed.ch"},
	{"91.115.1.2", "91-115-1-2.adsl.highway.telekom.at"},
	{"2.34.1.2", "net-2-34-1-2.cust.vodafonedsl.it"},
	{"93.32.1.2", "93-32-1-2.ip32.fastwebnet.it"},
	{"85.138.1.2", "a85-138-1-2.cpe.netcabo.pt"},
	{"85.240.34.56", "bl12-34-56.dsl.telepac.pt"},
	{"89.64.1.2", "89-64-1-2.dynamic.chello.pl"},
	{"5.12.1.2", "5-12-1-2.residential.rdsnet.ro"},
	{"89.176.1.2", "ip-89-176-1-2.net.upcbroadband.cz"},
	{"79.166.1.2", "athedsl-12345.home.otenet.gr"},
	{"94.64.1.2", "ppp-94-64-1-2.home.otenet.gr"},
	{"79.180.1.2", "bzq-79-180-1-2.red.bezeqint.net"},
	{"196.218.1.2", "host-196.218.1.2-static.tedata.net"},
	{"190.19.1.2", "2-1-19-190.fibertel.com.ar"},
	{"189.128.1.2", "dsl-189-128-1-2-dyn.prod-infinitum.com.mx"},
	{"110.77.2.3", "mx-ll-110.77.2-3.dynamic.3bb.co.th"},
	{"98.118.1.2", "pool-98-118-1-2.bstnma.fios.verizon.net"},
	{"86.128.1.2", "host86-128-1-2.range86-128.btcentralplus.com"},
	{"82.1.2.3", "cpc12-nott20-2-0-cust123.12-2.cable.virginm.net"},
	{"31.1.2.3", "dynamic-031-001-002-003.31.1.pool.telefonica.de"},
	{"217.225.1.2", "dynamic.isp.example.net"},
	{"217.225.1.2", "unassigned.host.example.net"},
	{"192.0.2.7", "mail-7.pool-2-7.dyn.example.net"},
	{"192.0.2.7", "smtp.192-0-2-7.dyn.example.net"},
	{"192.0.2.7", "192.0.2.7.example.net"},
	{"192.168.12.54", "host1921681254.example.net"},
	{"192.0.2.7", "3221225991.example.net"},
	{"192.0.2.7", "c0-00-02-07.example.net"},
	{"2003:e1:1234:5678:9abc:def0:1234:5678", "p200300e1123456789abcdef012345678.dip0.t-ipconnect.de"},
	{"2a02:8108:1:2:3:4:5:6", "2a02-8108-1-2-3-4-5-6.dynv6.vodafone.example"},
	{"2001:db8:12:34:56:78:9a:bc", "dynamic-2001-0db8-0012-0034-0056-0078-009a-00bc.pool6.example.net"},
	{"2001:db8::211:22ff:fe33:4455", "cpe-211-22ff-fe33-4455.v6.example.net"},
	{"2001:db8::211:22ff:fe33:4455",
     "5.5.4.4.3.3.e.f.f.f.2.2.1.1.2.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.example.net"},
};

/* Of those who send mail; addresses as in the name, so that it is no mere lack of them. */
static const struct row own[] = {
	{"40.107.7.42", "mail-eopbgr70042.outbound.protection.outlook.com"},
	{"40.107.0.41", "mail-db8eur05on2041.outbound.protection.outlook.com"},
	{"167.89.12.34", "o1.ptr1234.sendgrid.net"},
	{"167.89.12.34", "o16789012034.outbound-mail.sendgrid.net"},
	{"147.253.65.12", "mta-65-12.sparkpostmail.com"},
	{"147.253.65.12", "mta-147-253-65.sparkpostmail.com"},
	{"209.85.221.47", "mail-wr1-f47.google.com"},
	{"2a00:1450:4864:20::42f", "mail-wr1-x42f.google.com"},
	{"54.240.1.23", "a1-23.smtp-out.amazonses.com"},
	{"54.240.8.56", "a8-56.smtp-out.eu-west-1.amazonses.com"},
	{"69.72.43.169", "m43-169.mailgun.net"},
	{"198.2.134.12", "mail134-12.atl141.mandrillapp.com"},
	{"198.2.134.12", "mail198-2-134-12.mcsv.net.example"},
	{"205.201.128.12", "mail12.sea31.mcsv.net"},
	{"208.75.123.27", "ccm27.constantcontact.com"},
	{"50.31.156.105", "sc-ord-mta105.mtasv.net"},
	{"77.238.179.21", "sonic309-21.consmr.mail.ir2.yahoo.com"},
	{"13.110.3.4", "smtp11-ia4-sp3.mta.salesforce.com"},
	{"185.41.28.12", "mail28-12.sender-sib.example"},
	{"192.30.252.12", "out-12.smtp.github.com"},
	{"144.76.1.2", "mx.example.org"},
	{"144.76.1.2", "mail.example.co.uk"},
	{"192.0.2.7", "web7.example.net"},
	{"192.0.2.7", "host7.example.net"},
	{"192.0.2.7", "srv-2-7.example.net"},
	{"192.0.2.7", "static.example.net"},
	{"192.0.2.7", "mail-192-0-2-7.example.net"},
	{"192.0.2.7", "mx.cable.example.net"},
	{"192.0.2.7", "smtp.dsl.example.co.uk"},
	{"192.0.2.7", "adsl.net"},
	{"192.0.2.7", "dynamic.example"},
	{"192.0.2.7", "example.org"},
	{"192.0.2.7", "vps1234.hosting.example"},
	{"66.111.4.25", "out1-smtp.messagingengine.com"},
	{"17.58.6.41", "ci74p00im-qukt09082302.me.com"},
	{"185.70.40.22", "mail-4022.protonmail.ch"},
	{"80.67.18.12", "smtprelay02.ispgateway.de"},
	{"212.227.17.21", "mout.gmx.net"},
	{"212.227.126.131", "mout.kundenserver.de"},
	{"81.169.146.160", "mo4-p00-ob.smtp.rzone.de"},
	{"2001:db8::25", "mail.example.org"},
	{"2001:db8:12:34::1", "mx-2001-db8-12-34.example.org"},
	{"2001:db8::", "0-0-0-0.example.org"},
};

static void check(const struct row *row, bool expected)
{
	struct ip client;
	ip_parse(row->client, &client);
	char *name = strdup(row->name); /* of its very size, for ASan */
	const char *why = generic_name(name, &client);
	ok((why != NULL) == expected, "%s %s%s%s", expected ? "generic:" : "a name of its own:", row->name,
	   why == NULL ? "" : ": ", why == NULL ? "" : why);
	free(name);
}

int main(void)
{
	for (size_t i = 0; i < sizeof generic / sizeof *generic; i++) {
		check(&generic[i], true);
	}
	for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
		check(&own[i], false);
	}
	struct ip nobody = {.family = IP_UNKNOWN};
	ok(generic_name("pool-1-2-3-4.dsl.example.net", &nobody) == NULL, "no address: nothing is said");
	struct ip client;
	ip_parse("192.0.2.7", &client);
	ok(generic_name("", &client) == NULL, "no name");
	char longest[400];
	memset(longest, '7', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	ok(generic_name(longest, &client) == NULL, "longer than a name can be");
	longest[255] = '\0';
	ok(generic_name(longest, &client) == NULL, "the longest");
	return done_testing();
}
