require ["vnd.dovecot.pipe", "copy", "imapsieve", "environment", "variables"];

# A message was moved out of Junk: it is good mail, unless it was only thrown away.
if environment :matches "imap.mailbox" ["Trash", "Trash/*", "Trash.*", "Deleted Messages", "Deleted Items"] {
    stop;
}
if environment :matches "imap.user" "*" {
    set "user" "${1}";
}
pipe :copy "mailreeve-learn" ["ham", "${user}"];
