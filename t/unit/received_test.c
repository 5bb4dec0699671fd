/* The Received field: the forms of many MTAs, and how far down a chain is believed. */
#include "lib/mail/received.h"
#include "lib/mail/header.h"
#include "t/tap.h"

static const struct header_limits limits = {.max_count = 100, .max_bytes = 100000};

struct row {
	const char *value;
	enum received_kind kind;
	const char *address, *name, *helo, *by;
};

/* On a heap block of exactly its size, so that an overread is seen. */
static void parse(struct arena *arena, const char *value, struct received *received_r)
{
	size_t n = strlen(value);
	char *copy = malloc(n == 0 ? 1 : n);
	memcpy(copy, value, n);
	received_parse(arena, (struct slice){copy, n}, received_r);
	free(copy);
}

static void check(struct arena *arena, const struct row *row)
{
	struct received received;
	char address[IP_TEXT_SIZE];
	parse(arena, row->value, &received);
	ip_format(&received.address, address);
	const char *got = received.kind != RECEIVED_HOP
	                      ? arena_printf(arena, "kind %d", received.kind)
	                      : arena_printf(arena, "%s name=%s helo=%s by=%s%s", address, received.name, received.helo,
	                                     received.by, received.authenticated ? " authenticated" : "");
	const char *expected = row->kind != RECEIVED_HOP ? arena_printf(arena, "kind %d", row->kind)
	                                                 : arena_printf(arena, "%s name=%s helo=%s by=%s", row->address,
	                                                                row->name, row->helo, row->by);
	is_text(got, expected, arena_printf(arena, "Received:%.70s", row->value));
}

static void test_hops(struct arena *arena)
{
	static const struct row rows[] = {
	    /* Postfix */
	    {" from mail.a.example (host.a.example [192.0.2.1])\r\n\tby mx.b.example (Postfix) with ESMTP id 4A1\r\n\tfor "
	     "<x@b.example>; Tue, 24 Nov 2026 12:00:00 +0000 (UTC)",
	     RECEIVED_HOP, "192.0.2.1", "host.a.example", "mail.a.example", "mx.b.example"},
	    {"from mail.a.example (unknown [IPv6:2001:db8::1])\n\t(using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 "
	     "(256/256 "
	     "bits)\n\t key-exchange X25519 server-signature RSA-PSS (2048 bits))\n\t(Client CN \"[198.51.100.9]\", Issuer "
	     "\"x\" (verified OK))\n\tby mx.b.example (Postfix) with ESMTPS id 1; x",
	     RECEIVED_HOP, "2001:db8::1", "", "mail.a.example", "mx.b.example"},
	    {"from [198.51.100.9] (host.a.example [192.0.2.1]) by mx (Postfix) with SMTP", RECEIVED_HOP, "192.0.2.1",
	     "host.a.example", "[198.51.100.9]", "mx"},
	    {"from TWO WORDS (unknown [192.0.2.1]) by mx.b.example (Postfix) with SMTP", RECEIVED_HOP, "192.0.2.1", "",
	     "TWO", "mx.b.example"},
	    {"from localhost (localhost [127.0.0.1]) by mx (Postfix) with ESMTP id 1", RECEIVED_HOP, "127.0.0.1",
	     "localhost", "localhost", "mx"},
	    {"from x (unknown [::ffff:192.0.2.1]) by mx (Postfix) with ESMTP id 1", RECEIVED_HOP, "192.0.2.1", "", "x",
	     "mx"},
	    {"from authenticated.example (authenticated.example [192.0.2.1]) by mx (Postfix) with ESMTP", RECEIVED_HOP,
	     "192.0.2.1", "authenticated.example", "authenticated.example", "mx"},
	    /* Sendmail */
	    {"from mail.a.example (root@host.a.example [192.0.2.1])\r\n\tby mx.b.example (8.17.1/8.17.1) with ESMTPS id "
	     "1AO\r\n\t(version=TLSv1.3 cipher=X bits=256 verify=NO)\r\n\tfor <x@b.example>; x",
	     RECEIVED_HOP, "192.0.2.1", "host.a.example", "mail.a.example", "mx.b.example"},
	    {"from mail.a.example (host.a.example [192.0.2.1] (may be forged)) by mx (8.17.1/8.17.1) with SMTP id 1",
	     RECEIVED_HOP, "192.0.2.1", "", "mail.a.example", "mx"},
	    {"from mail.a.example ([IPv6:2001:DB8:0:0:0:0:0:1]) by mx (8.17.1/8.17.1) with SMTP id 1", RECEIVED_HOP,
	     "2001:db8::1", "", "mail.a.example", "mx"},
	    {"from einstein (cpunks@[192.0.2.1]) by mx (8.11.6/8.11.6) with ESMTP id 1", RECEIVED_HOP, "192.0.2.1", "",
	     "einstein", "mx"},
	    {"from x (authenticated [192.0.2.1] (may be forged)) by mx (8.17.1/8.17.1) with SMTP id 1", RECEIVED_HOP,
	     "192.0.2.1", "", "x", "mx"},
	    {"from x (user=x [192.0.2.1] (may be forged)) by mx (8.17.1/8.17.1) with SMTP id 1", RECEIVED_HOP, "192.0.2.1",
	     "", "x", "mx"},
	    /* Exim */
	    {"from host.a.example ([192.0.2.1]:40123 helo=mail.a.example)\n\tby mx.b.example with esmtps  (TLS1.3) tls "
	     "TLS_AES_256_GCM_SHA384\n\t(Exim 4.96)\n\t(envelope-from <x@a.example>)\n\tid 1x-1; x",
	     RECEIVED_HOP, "192.0.2.1", "host.a.example", "mail.a.example", "mx.b.example"},
	    {"from [192.0.2.1] (helo=mail.a.example ident=root) by mx with esmtp (Exim 4.96) id 1; x", RECEIVED_HOP,
	     "192.0.2.1", "", "mail.a.example", "mx"},
	    {"from [192.0.2.1] (port=1234 helo=[10.0.0.5]) by mx with esmtp (Exim 4.96) id 1; x", RECEIVED_HOP, "192.0.2.1",
	     "", "[10.0.0.5]", "mx"},
	    {"from [192.0.2.1] by mx with esmtp (Exim 4.96) id 1; x", RECEIVED_HOP, "192.0.2.1", "", "[192.0.2.1]", "mx"},
	    {"from mail.a.example ([2001:db8::1])\n\tby mx with esmtp (Exim 4.96) id 1; x", RECEIVED_HOP, "2001:db8::1", "",
	     "mail.a.example", "mx"},
	    /* Exchange, Microsoft 365 */
	    {"from relay.a.example (192.0.2.1) by EX.b.example (10.0.0.51) with Microsoft SMTP Server id 14.3.123.3; x",
	     RECEIVED_HOP, "192.0.2.1", "", "relay.a.example", "EX.b.example"},
	    {"from AB1.eurprd01.prod.example (2001:db8:6:803::15)\r\n by CD2.eurprd01.prod.example (2001:db8:6:14f::9) "
	     "with "
	     "Microsoft SMTP\r\n Server (version=TLS1_2, cipher=TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384) id\r\n 15.20.1; x",
	     RECEIVED_HOP, "2001:db8:6:803::15", "", "AB1.eurprd01.prod.example", "CD2.eurprd01.prod.example"},
	    {"from mail.a.example (192.0.2.1) by AM7.mail.protection.example (10.152.16.97) with Microsoft SMTP Server "
	     "(version=TLS1_2, cipher=X) id 15.20.1 via Frontend Transport; x",
	     RECEIVED_HOP, "192.0.2.1", "", "mail.a.example", "AM7.mail.protection.example"},
	    {"from mail.a.example ([192.0.2.1]) by ex with Microsoft SMTPSVC(6.0.3790.4675); x", RECEIVED_HOP, "192.0.2.1",
	     "", "mail.a.example", "ex"},
	    {"from EX1.b.example ([fe80::1%4]) by EX2.b.example with SMTP; x", RECEIVED_HOP, "fe80::1", "", "EX1.b.example",
	     "EX2.b.example"},
	    /* Google */
	    {"from mail.a.example (host.a.example. [192.0.2.1])\r\n        by mx.google.example with ESMTPS id a1\r\n      "
	     "  for "
	     "<x@b.example>\r\n        (version=TLS1_3 cipher=X bits=256/256);\r\n        x",
	     RECEIVED_HOP, "192.0.2.1", "host.a.example", "mail.a.example", "mx.google.example"},
	    /* hosted filters */
	    {"from mail.a.example (host.a.example [192.0.2.1]) by relay.mimecast.example with ESMTP with STARTTLS "
	     "(version=TLSv1.2, cipher=X) id us-mta-1-a; x",
	     RECEIVED_HOP, "192.0.2.1", "host.a.example", "mail.a.example", "relay.mimecast.example"},
	    {"from mail.a.example (host.a.example [192.0.2.1]) (Using TLS) by relay.mimecast.example with ESMTP id "
	     "uk-mta-1; x",
	     RECEIVED_HOP, "192.0.2.1", "host.a.example", "mail.a.example", "relay.mimecast.example"},
	    {"from mail.a.example (host.a.example [192.0.2.1])\n\tby mx0a-1.pphosted.example (PPS) with ESMTPS id 3abc\n\t"
	     "(version=TLSv1.2 cipher=X bits=256 verify=NOT); x",
	     RECEIVED_HOP, "192.0.2.1", "host.a.example", "mail.a.example", "mx0a-1.pphosted.example"},
	    {"from mail.a.example (host.a.example [192.0.2.1]) by mx-inbound1.us-east-2.ess.example with ESMTP "
	     "(version=TLSv1.3 cipher=X bits=256 verify=NO); x",
	     RECEIVED_HOP, "192.0.2.1", "host.a.example", "mail.a.example", "mx-inbound1.us-east-2.ess.example"},
	    {"from [192.0.2.1] (using TLSv1.2 with cipher X (256/256 bits))\n\tby server-11.bemta-5.labs.example id "
	     "A1/0-1; x",
	     RECEIVED_HOP, "192.0.2.1", "", "[192.0.2.1]", "server-11.bemta-5.labs.example"},
	    {"from host.a.example (HELO mail.a.example) (192.0.2.1)\n  by server-2.tower-1.labs.example with SMTP; x",
	     RECEIVED_HOP, "192.0.2.1", "host.a.example", "mail.a.example", "server-2.tower-1.labs.example"},
	    {"from source ([192.0.2.1]) (using TLSv1) by exprod1mx1.postini.example ([198.51.100.9]) with SMTP; x",
	     RECEIVED_HOP, "192.0.2.1", "", "source", "exprod1mx1.postini.example"},
	    {"from host.a.example (HELO mail.a.example) ([192.0.2.1])\n  by esa.b.example with ESMTP/TLS/X; x",
	     RECEIVED_HOP, "192.0.2.1", "host.a.example", "mail.a.example", "esa.b.example"},
	    /* qmail and its kin */
	    {"from unknown (HELO mail.a.example) (192.0.2.1)\n  by mx.b.example with SMTP; x", RECEIVED_HOP, "192.0.2.1",
	     "", "mail.a.example", "mx.b.example"},
	    {"from host.a.example (192.0.2.1)\n  by mx.b.example with SMTP; x", RECEIVED_HOP, "192.0.2.1", "",
	     "host.a.example", "mx.b.example"},
	    {"from unknown (HELO [192.168.0.101]) (s0832@[192.0.2.1]) (envelope-sender <[198.51.100.9]>) by mx "
	     "(qmail-ldap-1.03) "
	     "with SMTP for <x@b.example>; x",
	     RECEIVED_HOP, "192.0.2.1", "", "[192.168.0.101]", "mx"},
	    {"from unknown (HELO x) (a@198.51.100.9@192.0.2.1) by mx with SMTP; x", RECEIVED_HOP, "192.0.2.1", "", "x",
	     "mx"},
	    {"from deepeddy.a.example (@[192.0.2.1]) (envelope-sender <x@a.example>) by mx (qmail-ldap-1.03) with SMTP; x",
	     RECEIVED_HOP, "192.0.2.1", "", "deepeddy.a.example", "mx"},
	    {"from 192.0.2.1 (EHLO mail.a.example) by mx.yahoo.example with SMTPS; x", RECEIVED_HOP, "192.0.2.1", "",
	     "mail.a.example", "mx.yahoo.example"},
	    /* others */
	    {"from mail.a.example ([192.0.2.1] verified) by b.example (CommuniGate Pro SMTP 5.0) with ESMTP id 1; x",
	     RECEIVED_HOP, "192.0.2.1", "", "mail.a.example", "b.example"},
	    {"from [192.0.2.1] (HELO mail.a.example) by b.example (CommuniGate Pro SMTP 5.0) with ESMTP id 1; x",
	     RECEIVED_HOP, "192.0.2.1", "", "mail.a.example", "b.example"},
	    {"from relay (unverified [192.0.2.1]) by b.example (EMWAC SMTPRS 0.83) with SMTP id <B1@b.example>; x",
	     RECEIVED_HOP, "192.0.2.1", "", "relay", "b.example"},
	    {"from agent (192.0.2.1) by b.example (PowerMTA(TM) v1.5); x (envelope-from <x@a.example>)", RECEIVED_HOP,
	     "192.0.2.1", "", "agent", "b.example"},
	    {"from [10.10.0.56] ([192.0.2.1:34468] helo=md01.a.example)\n\tby b.example (envelope-from "
	     "<x@a.example>)\n\t(ecelerity "
	     "2.2.2.40) with ESMTP id 1; x",
	     RECEIVED_HOP, "192.0.2.1", "", "md01.a.example", "b.example"},
	    {"from  (localhost[127.0.0.1])\n by b.example (vm2) with SMTP id <1>; x", RECEIVED_HOP, "127.0.0.1",
	     "localhost", "", "b.example"},
	    {"from  (192.0.2.1 [192.0.2.1]) by MailEnable Inbound Mail Agent with ESMTP; x", RECEIVED_HOP, "192.0.2.1", "",
	     "", "MailEnable"},
	    {"from xcar [192.0.2.1] by b.example\n  (SMTPD32-7.07 EVAL) id 1; x", RECEIVED_HOP, "192.0.2.1", "", "xcar",
	     "b.example"},
	    {"from mail.a.example (mail.a.example [::ffff:192.0.2.1])\n  (TLS: TLSv1/SSLv3,256bits,AES256-SHA)\n  by "
	     "b.example with "
	     "ESMTP; x",
	     RECEIVED_HOP, "192.0.2.1", "mail.a.example", "mail.a.example", "b.example"},
	    {"from mail.a.example (host.a.example [192.0.2.1])\n\tby b.example (OpenSMTPD) with ESMTPS id 1 "
	     "(TLSv1.3:X:256:NO);\n\tx",
	     RECEIVED_HOP, "192.0.2.1", "host.a.example", "mail.a.example", "b.example"},
	    {"from mail.a.example (host.a.example [192.0.2.1]) by b.example (Haraka/2.8.16) with ESMTPS id 1 envelope-from "
	     "<x@a.example> (version=TLSv1/SSLv3 cipher=X verify=OK); x",
	     RECEIVED_HOP, "192.0.2.1", "host.a.example", "mail.a.example", "b.example"},
	    {"from mail.a.example ([192.0.2.1])\n\tby localhost (b.example [127.0.0.1]) (amavisd-new, port 10024)\n\twith "
	     "ESMTP id "
	     "V; x",
	     RECEIVED_HOP, "192.0.2.1", "", "mail.a.example", "localhost"},
	    {"from mx6 ([10.202.2.205])\n  by compute3.internal (LMTPProxy); x", RECEIVED_HOP, "10.202.2.205", "", "mx6",
	     "compute3.internal"},
	    {"FROM mail.a.example (HOST.a.example [192.0.2.1]) BY mx WITH esmtp", RECEIVED_HOP, "192.0.2.1",
	     "HOST.a.example", "mail.a.example", "mx"},
	    {"from by (by [192.0.2.1]) by by with by", RECEIVED_HOP, "192.0.2.1", "by", "by", "by"},
	    {"from x (x [192.0.2.1]) by mx (unclosed", RECEIVED_HOP, "192.0.2.1", "x", "x", "mx"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		check(arena, &rows[i]);
	}
}

static void test_others(struct arena *arena)
{
	static const struct row rows[] = {
	    {"by 10.231.39.131 with SMTP id g3cs1009ibe; x", RECEIVED_INTERNAL, 0, 0, 0, 0},
	    {"by 2002:a05:6a10:1234:b0:1 with SMTP id a1; x", RECEIVED_INTERNAL, 0, 0, 0, 0},
	    {"by fg-out-1718.google.example with SMTP id e12 for <x@b.example>; x", RECEIVED_INTERNAL, 0, 0, 0, 0},
	    {"by mx.b.example (Postfix) id 4A1; x", RECEIVED_INTERNAL, 0, 0, 0, 0},
	    {"(qmail 4711 invoked from network); 25 May 2008 14:38:53 -0000", RECEIVED_INTERNAL, 0, 0, 0, 0},
	    {"(qmail 4711 invoked by uid 500); 25 May 2008 14:38:53 -0000", RECEIVED_SUBMITTED, 0, 0, 0, 0},
	    {"(from root@localhost) by b.example (8.17.1/8.17.1/Submit) id 1; x", RECEIVED_SUBMITTED, 0, 0, 0, 0},
	    {"by b.example (Postfix, from userid 1000) id 4A1; x", RECEIVED_SUBMITTED, 0, 0, 0, 0},
	    {"from rick by b.example with local (Exim 4.96) id 1; x", RECEIVED_SUBMITTED, 0, 0, 0, 0},
	    {"by 10.223.119.11 with HTTP; x", RECEIVED_SUBMITTED, 0, 0, 0, 0},
	    {"from [192.0.2.1] by web14407.mail.example via HTTP; x", RECEIVED_SUBMITTED, 0, 0, 0, 0},
	    {"from mail pickup service by b.example with Microsoft SMTPSVC; x", RECEIVED_SUBMITTED, 0, 0, 0, 0},
	    {"from AM0.prod.example ([fe80::1]) by AM0.prod.example ([fe80::1%4]) with mapi id 15.20; x",
	     RECEIVED_SUBMITTED, 0, 0, 0, 0},
	    /* without an address, or with more than one that could be meant */
	    {"from machine.example by x.y.test; 21 Nov 1997 10:01:22 -0600", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"from 192.0.2.1 by mx with SMTP; x", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"from x (192.0.2.1) (198.51.100.9) by mx with SMTP", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"from x ([192.0.2.1] [198.51.100.9]) by mx with SMTP", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"from x (a [192.0.2.1] b [198.51.100.9]) by mx with SMTP", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"from [192.0.2.1] [198.51.100.9] by mx with SMTP", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"from x (x [192.0.2.1]); x", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"from x (x [192.0.2.1] by mx with SMTP; x", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"from \"x (x [192.0.2.1]) by mx with SMTP; x", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"from x (x [192.0.2.256]) by mx with SMTP; x", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"from x (x [192.0.2.1]y) by mx with SMTP; x", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"from x (x []) by mx with SMTP; x", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"from x () by mx with SMTP; x", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"by mx.b.example (Smail3.1.29.1) from a.example (192.0.2.1) with bsmtp id <m0>; x", RECEIVED_UNREADABLE, 0, 0,
	     0, 0},
	    {"(EGP: mail-8_1_0_1); 28 Aug 2002 12:57:17 -0000", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {" ;", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"from", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"by", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"from by", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	    {"(((((", RECEIVED_UNREADABLE, 0, 0, 0, 0},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		check(arena, &rows[i]);
	}
	const char *padding = arena_printf(arena, "from x (x [192.0.2.1]) by mx (%0*d) with SMTP", RECEIVED_MAX, 0);
	check(arena, &(struct row){padding, RECEIVED_UNREADABLE, 0, 0, 0, 0});
}

static void test_authenticated(struct arena *arena)
{
	static const char *const values[] = {
	    ("from [192.168.1.2] (a.example [192.0.2.1])\n\t(using TLSv1.3 with cipher X (256/256 bits))\n\t(Authenticated "
	     "sender: "
	     "anna)\n\tby mx (Postfix) with ESMTPSA id 1; x"),
	    "from a (a.example [192.0.2.1]) (authenticated bits=0) by mx (8.17.1/8.17.1) with ESMTP id 1; x",
	    "from a (a.example [192.0.2.1]) (authenticated) by mx (8.11.6/8.11.6) with ESMTP id 1; x",
	    "from a.example ([192.0.2.1] helo=a) by mx with esmtpsa (TLS1.3) (Exim 4.96) id 1; x",
	    "from a.example ([192.0.2.1] helo=a) by mx with asmtp (Exim 4.0) id 1; x",
	    ("from [192.0.2.1] (account anna@b.example HELO [192.168.1.2]) by mx (CommuniGate Pro SMTP 5.0) with ESMTPA id "
	     "1; x"),
	    "from a (a.example [192.0.2.1]) by mx with UTF8SMTPSA id 1; x",
	    "from a ([192.0.2.1]) (user=anna mech=LOGIN bits=0) by fml with ESMTP id 1-1; x",
	    "from a (a.example [192.0.2.1]) (AUTH: LOGIN anna, TLS: TLSv1.3,256bits,X) by mx with ESMTPS id 1; x",
	};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		struct received received;
		char address[IP_TEXT_SIZE];
		parse(arena, values[i], &received);
		ip_format(&received.address, address);
		is_text(arena_printf(arena, "%d %d %s", received.kind, received.authenticated, address), "0 1 192.0.2.1",
		        values[i]);
	}
}

/* ---- chains ---- */

/* 192.0.2.0/24 is inside, and 10/8. */
static bool is_inside(const void *context, const struct ip *address)
{
	(void)context;
	return address->family == IP_V4 &&
	       ((address->bytes[0] == 192 && address->bytes[1] == 0 && address->bytes[2] == 2) || address->bytes[0] == 10);
}

struct chain {
	const char *name;
	const char *fields[6]; /* values of Received; NULL ends */
	enum received_result result;
	const char *address, *helo;
	unsigned hops;
};

#define FORGED "from bank.example (bank.example [203.0.113.1]) by mx1.b.example (Postfix) with ESMTP id 1; x"

static void test_chains(struct arena *arena)
{
	static const struct chain chains[] = {
	    {"one hop; nothing below the client is believed",
	     {"from spam.example (x [198.51.100.66]) by mx1.b.example (Postfix) with ESMTP id 1; x", FORGED, FORGED},
	     RECEIVED_FOUND,
	     "198.51.100.66",
	     "spam.example",
	     1},
	    {"inside, filter on loopback, two relays",
	     {"from localhost (localhost [10.0.0.1]) by mx1.b.example (Postfix) with ESMTP id 1; x",
	      "from mx0.b.example ([192.0.2.9]) by localhost (b.example [10.0.0.1]) (amavisd-new, port 10024) with ESMTP "
	      "id 1; x",
	      "from mail.a.example (mail.a.example [198.51.100.7]) by mx0.b.example (Postfix) with ESMTPS id 1; x", FORGED},
	     RECEIVED_FOUND,
	     "198.51.100.7",
	     "mail.a.example",
	     3},
	    {"steps within a service do not count as hosts",
	     {"by mail-x.google.example with SMTP id 1; x", "by 2002:a05:1::1 with SMTP id 1; x",
	      "from mail.a.example (mail.a.example. [198.51.100.7]) by mx.google.example with ESMTPS id 1; x", FORGED},
	     RECEIVED_FOUND,
	     "198.51.100.7",
	     "mail.a.example",
	     3},
	    {"qmail's two fields for a hop",
	     {"(qmail 1 invoked from network); x", "from unknown (HELO a.example) (198.51.100.7) by mx with SMTP; x",
	      FORGED},
	     RECEIVED_FOUND,
	     "198.51.100.7",
	     "a.example",
	     2},
	    {"inside hosts that log in at each other are inside",
	     {"from edge (edge [10.0.0.2]) (Authenticated sender: relay) by mx1 (Postfix) with ESMTPSA id 1; x",
	      "from a.example (a.example [198.51.100.7]) by edge (Postfix) with ESMTP id 1; x", FORGED},
	     RECEIVED_FOUND,
	     "198.51.100.7",
	     "a.example",
	     2},
	    {"a user who has logged in is no relay",
	     {"from pc (dsl.example [198.51.100.8]) (Authenticated sender: anna) by mx1 (Postfix) with ESMTPSA id 1; x",
	      FORGED},
	     RECEIVED_STOPPED,
	     NULL,
	     NULL,
	     1},
	    {"a local user's message may say anything below",
	     {"by mx1.b.example (Postfix, from userid 33) id 1; x", FORGED},
	     RECEIVED_STOPPED,
	     NULL,
	     NULL,
	     1},
	    {"what cannot be read is the end", {"from somewhere by mx1; x", FORGED}, RECEIVED_STOPPED, NULL, NULL, 1},
	    {"all inside", {"from mx0 (mx0 [192.0.2.9]) by mx1 with ESMTP; x"}, RECEIVED_NO_MORE, NULL, NULL, 1},
	    {"none", {NULL}, RECEIVED_NO_MORE, NULL, NULL, 0},
	};
	for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
		const struct chain *chain = &chains[i];
		struct headers headers = {.count = 0};
		struct received received;
		unsigned hops;
		char address[IP_TEXT_SIZE];
		headers_add(&headers, arena, &limits, SLICE_LITERAL("Subject"), SLICE_LITERAL(" Received: x"));
		for (size_t k = 0; k < 6 && chain->fields[k] != NULL; k++) {
			headers_add(&headers, arena, &limits, SLICE_LITERAL("ReceiveD"), slice_from(chain->fields[k]));
			headers_add(&headers, arena, &limits, SLICE_LITERAL("X-Received"), SLICE_LITERAL(FORGED));
		}
		is_int(received_find(arena, &headers, is_inside, NULL, &received, &hops), chain->result, chain->name);
		is_int(hops, chain->hops, "  fields looked at");
		if (chain->address != NULL) {
			ip_format(&received.address, address);
			is_text(address, chain->address, "  the client");
			is_text(received.helo, chain->helo, "  its HELO");
		}
	}
}

static void test_many(struct arena *arena)
{
	struct headers headers = {.count = 0};
	struct received received;
	unsigned hops;
	for (int i = 0; i < RECEIVED_MAX_HOPS; i++) {
		headers_add(&headers, arena, &limits, SLICE_LITERAL("Received"),
		            SLICE_LITERAL("from x (x [10.0.0.1]) by y with SMTP"));
	}
	is_int(received_find(arena, &headers, is_inside, NULL, &received, &hops), RECEIVED_NO_MORE,
	       "as many hops as there may be");
	headers_add(&headers, arena, &limits, SLICE_LITERAL("Received"), SLICE_LITERAL(FORGED));
	is_int(received_find(arena, &headers, is_inside, NULL, &received, &hops), RECEIVED_TOO_MANY, "one more");
	is_int(hops, RECEIVED_MAX_HOPS, "and no more is looked at");
}

int main(void)
{
	struct arena *arena = arena_create(65536);
	test_hops(arena);
	test_others(arena);
	test_authenticated(arena);
	test_chains(arena);
	test_many(arena);
	arena_destroy(arena);
	return done_testing();
}
