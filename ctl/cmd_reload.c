/* reload: has the daemon check its configuration, and take it when it is good. */
#include "ctl/command.h"
#include "ctl/control.h"
#include "lib/base/clock.h"

static const char usage[] = "usage: mailreeve reload [--config FILE]\n"
                            "  -c, --config FILE    the daemon's configuration file, which names its control socket\n"
                            "The daemon checks its own file; what is wrong with it is printed, and nothing changes.\n";

int cmd_reload(int argc, char **argv)
{
	return control_order(argc, argv, "/reload", usage, 120 * CLOCK_NS_PER_S);
}
