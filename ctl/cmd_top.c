/* top: the running daemon on a terminal, once a second. Plain ANSI: each frame is written over the last one in one
 * write(2), so nothing flickers. */
#include "ctl/command.h"
#include "ctl/status_read.h"
#include "ctl/top_frame.h"
#include "lib/base/slice.h"

#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

enum { ROWS = 24, COLUMNS = 80, PERIOD_MS = 1000, ONCE_ROWS = 200 };

static const char usage[] = "usage: mailreeve top [--config FILE] [--once]\n"
                            "  -c, --config FILE    the daemon's configuration file, which names its control socket\n"
                            "      --once           prints one frame of 80 columns and ends\n"
                            "q ends it.\n";

static struct termios before;
static volatile sig_atomic_t ended;

static void on_signal(int number)
{
	(void)number;
	ended = 1;
}

static void say(const char *text)
{
	size_t n = strlen(text);
	while (n > 0) {
		ssize_t done = write(STDOUT_FILENO, text, n);
		if (done <= 0) {
			ended = 1;
			return;
		}
		text += done;
		n -= (size_t)done;
	}
}

/* Another screen, no cursor, keys at once. */
static bool terminal_begin(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	if (!isatty(STDOUT_FILENO) || tcgetattr(STDIN_FILENO, &before) != 0) {
		fputs("mailreeve: top needs a terminal; top --once prints one frame\n", stderr);
		return false;
	}
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	struct termios raw = before;
	raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
	tcsetattr(STDIN_FILENO, TCSANOW, &raw);
	say("\033[?1049h\033[?25l");
	return true;
}

static void terminal_end(void)
{
	say("\033[?25h\033[?1049l");
	tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

/* The frame over the old one: each line clears what is behind it, the last what is below. */
static void paint(const char *frame, struct arena *arena)
{
	struct strbuf out;
	struct slice rest = slice_from(frame);
	struct slice piece;
	strbuf_init(&out, arena);
	strbuf_add_text(&out, "\033[H");
	for (bool first = true; slice_split(&rest, '\n', &piece) && piece.len > 0; first = false) {
		strbuf_add_text(&out, first ? "" : "\r\n");
		strbuf_add_slice(&out, piece);
		strbuf_add_text(&out, "\033[K");
	}
	strbuf_add_text(&out, "\033[J");
	say(out.data);
}

/* False: the daemon does not answer, or the user has enough. */
static bool step(const struct config *config)
{
	struct arena *arena = arena_create(65536);
	struct winsize size = {.ws_row = 0};
	struct pollfd key = {.fd = STDIN_FILENO, .events = POLLIN};
	char pressed = 0;
	json_t *status = status_read(config, true, arena);
	if (status != NULL) {
		bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0;
		paint(top_frame(status, known ? size.ws_row : ROWS, known ? size.ws_col : COLUMNS, arena), arena);
	}
	bool go_on = status != NULL;
	json_decref(status);
	arena_destroy(arena);
	if (go_on && poll(&key, 1, PERIOD_MS) > 0) {
		go_on = read(STDIN_FILENO, &pressed, 1) == 1 && pressed != 'q' && pressed != 'Q';
	}
	return go_on;
}

static int watch(const struct config *config)
{
	if (!terminal_begin()) {
		return 2;
	}
	while (!ended && step(config)) {
	}
	terminal_end();
	return 0;
}

static int once(const struct config *config)
{
	struct arena *arena = arena_create(65536);
	json_t *status = status_read(config, true, arena);
	if (status != NULL) {
		fputs(top_frame(status, ONCE_ROWS, COLUMNS, arena), stdout);
	}
	int result = status != NULL ? 0 : 1;
	json_decref(status);
	arena_destroy(arena);
	return result;
}

int cmd_top(int argc, char **argv)
{
	static const struct option long_options[] = {{"config", required_argument, NULL, 'c'},
	                                             {"once", no_argument, NULL, 'o'},
	                                             {"help", no_argument, NULL, 'h'},
	                                             {NULL, 0, NULL, 0}};
	const char *path = NULL;
	bool one = false;
	int option;
	while ((option = getopt_long(argc, argv, "c:h", long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			path = optarg;
			break;
		case 'o':
			one = true;
			break;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return 2;
		}
	}
	if (optind != argc) {
		fputs(usage, stderr);
		return 2;
	}
	struct config *config = command_load_config(path);
	if (config == NULL) {
		return 1;
	}
	int result = one ? once(config) : watch(config);
	config_release(config);
	return result;
}
