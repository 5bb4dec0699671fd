/* restart: a new process takes the daemon's place, without a connection refused. */
#include "ctl/command.h"
#include "ctl/control.h"
#include "lib/base/clock.h"

static const char usage[] = "usage: mailreeve restart [--config FILE]\n"
                            "  -c, --config FILE    the daemon's configuration file, which names its control socket\n"
                            "Starts the installed program beside the daemon that runs, with the same arguments; when it is ready it takes all\n"
                            "new connections, and the old process ends as soon as those that it has are done (drain_time at most). Where the\n"
                            "new one cannot start the old one goes on.\n";

int cmd_restart(int argc, char **argv)
{
	return control_order(argc, argv, "/restart", usage, 960 * CLOCK_NS_PER_S);
}
