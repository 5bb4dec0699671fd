/* token_header: what the fields of a header say for Bayes. */
#ifndef MAILREEVE_INSPECT_TOKEN_HEADER_H
#define MAILREEVE_INSPECT_TOKEN_HEADER_H

#include "inspect/token_set.h"
#include "lib/mail/header.h"

/* Only fields that the author's side writes, by a list: the verdict is asked for at the gate, and what is learnt was
 * delivered. So nothing that a gate, a relay or a mailbox adds may be a token: Received, Return-Path, Delivered-To,
 * X-Original-To, Authentication-Results, DKIM and ARC results, X-Spam*, X-Bogosity, Status and whatever else is not
 * named here; nor whom it is for, as that says which user it was that learnt it. */
void token_header(struct token_set *set, const struct headers *headers);

#endif
