/* token_header: what the fields of a header say for Bayes. */
#ifndef MAILREEVE_INSPECT_TOKEN_HEADER_H
#define MAILREEVE_INSPECT_TOKEN_HEADER_H

#include "inspect/token_set.h"
#include "lib/mail/header.h"

/* The verdict is asked for at the gate, and what is learnt was delivered: so nothing that a gate, a filter or a mailbox adds
 * may be a token (Return-Path, Delivered-To, X-Original-To, Authentication-Results, ARC, X-Spam*, Status ...; is_trace()).
 * Of Received only the two oldest fields are read: how the author's mail began its way. Where a message came straight to
 * the gate these are its own hosts' once it is delivered; tokens of them are learnt in vain, and do not mislead. */
void token_header(struct token_set *set, const struct headers *headers);

#endif
