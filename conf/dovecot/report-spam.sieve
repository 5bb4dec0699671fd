require ["vnd.dovecot.pipe", "copy", "imapsieve", "environment", "variables"];

# A message was moved or copied into Junk: it is spam, for this user.
if environment :matches "imap.user" "*" {
    set "user" "${1}";
}
pipe :copy "mailreeve-learn" ["spam", "${user}"];
