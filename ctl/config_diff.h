/* config_diff: mailreeve config diff */
#ifndef MAILREEVE_CTL_CONFIG_DIFF_H
#define MAILREEVE_CTL_CONFIG_DIFF_H

/* argv[0] is "diff". 0: nothing differs in what it comes to, 1: something does, 2: it could not be told. */
int config_diff(int argc, char **argv);

#endif
