/* mailreeve learn import: what other filters have learnt. */
#include "ctl/learn.h"

bool learn_import(struct learn_command *command, const char *format, const char *file)
{
	(void)command, (void)file;
	if (strcmp(format, "rspamd") == 0) {
		return learn_refuse(
		    "rspamd keeps hashes of its own tokens, from which nobody can tell the words again, so what it "
		    "has learnt cannot be taken over. Teach from the mail instead: mailreeve learn spam FOLDER");
	}
	return learn_refuse(
	    "import: what \"%s\" has learnt cannot be taken over. Teach from the mail instead: mailreeve learn spam "
	    "FOLDER",
	    format);
}
