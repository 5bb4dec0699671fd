/* certificate: what the certificate of a mail server says, read by OpenSSL alone. */
#ifndef MAILREEVE_AUDIT_CERTIFICATE_H
#define MAILREEVE_AUDIT_CERTIFICATE_H

#include "lib/audit/audit_contact.h"

#include <openssl/ssl.h>

/* Fills the certificate's fields of server_r from an established session with the host. False: there is none. */
bool certificate_read(SSL *ssl, const struct audit_host *host, const struct audit_contact_settings *settings,
                      struct arena *arena, struct audit_server *server_r);

#endif
