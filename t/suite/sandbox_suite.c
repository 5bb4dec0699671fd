/* What a worker in its sandbox cannot do: every thing is tried, in the sandbox and, so that the trial means something,
 * outside of it too. */
#include "inspect/sandbox.h"
#include "t/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { NOBODY = 65534, MEMORY = 64 << 20, DISK = 1 << 20, FILES = 64 };

/* Made outside the sandbox: what a worker might find open. */
static int open_socket = -1;

static char directory[] = "/tmp/mailreeve-sandbox-XXXXXX";

static bool can_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		close(fd);
	}
	return fd >= 0;
}

static bool try_read(void)
{
	return can_open("/etc/passwd");
}

static bool try_proc(void)
{
	return can_open("/proc/self/status");
}

static bool try_device(void)
{
	return can_open("/dev/zero");
}

static bool try_climb(void)
{
	return can_open("../../../../../../etc/passwd");
}

static bool try_list(void)
{
	return can_open("/usr");
}

static bool try_write_elsewhere(void)
{
	char path[64];
	snprintf(path, sizeof path, "/tmp/mailreeve-probe-%ld", (long)getpid());
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd >= 0) {
		close(fd);
		unlink(path);
	}
	return fd >= 0;
}

static bool try_socket(int family, int type)
{
	int fd = socket(family, type | SOCK_CLOEXEC, 0);
	if (fd >= 0) {
		close(fd);
	}
	return fd >= 0;
}

static bool try_inet(void)
{
	return try_socket(AF_INET, SOCK_STREAM);
}

static bool try_unix(void)
{
	return try_socket(AF_UNIX, SOCK_STREAM);
}

static bool try_netlink(void)
{
	return try_socket(AF_NETLINK, SOCK_RAW);
}

/* To nowhere: that nobody listens is not the sandbox's doing. */
static bool try_connect(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(1)};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(open_socket, (struct sockaddr *)&address, sizeof address) == 0 || errno == ECONNREFUSED;
}

static bool try_send_to(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(1)};
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return sendto(open_socket, "x", 1, 0, (struct sockaddr *)&address, sizeof address) == 1 ||
	       errno == ECONNREFUSED;
}

static bool try_exec(void)
{
	char *const arguments[] = {(char *)(uintptr_t)"true", NULL};
	pid_t pid = vfork();
	if (pid == 0) {
		execv("/bin/true", arguments);
		_exit(1);
	}
	int status = 1;
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool try_trace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool try_trace_parent(void)
{
	bool can = ptrace(PTRACE_SEIZE, getppid(), NULL, NULL) == 0;
	if (can) {
		ptrace(PTRACE_DETACH, getppid(), NULL, NULL);
	}
	return can;
}

static bool try_kill_parent(void)
{
	return kill(getppid(), 0) == 0;
}

/* Bytes that can be written to a new file, and removed again. */
static bool try_fill(const char *name, size_t bytes, bool keep)
{
	static char piece[65536];
	int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	size_t n = 0;
	while (fd >= 0 && n < bytes && write(fd, piece, sizeof piece) == (ssize_t)sizeof piece) {
		n += sizeof piece;
	}
	if (fd >= 0) {
		close(fd);
	}
	if (!keep) {
		unlink(name);
	}
	return n >= bytes;
}

static bool try_large_file(void)
{
	return try_fill("probe-large", 2 * DISK, false);
}

static bool try_large_files(void)
{
	char name[32];
	bool can = true;
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof name, "probe-%d", i);
		can = try_fill(name, DISK / 2, true) && can;
	}
	for (int i = 0; i < 4; i++) {
		snprintf(name, sizeof name, "probe-%d", i);
		unlink(name);
	}
	return can;
}

static bool try_many_files(void)
{
	char name[32];
	int made = 0;
	for (int i = 0; i < 2 * FILES; i++) {
		snprintf(name, sizeof name, "probe-many-%d", i);
		made += try_fill(name, 0, true);
		int fd = open(name, O_RDONLY | O_CLOEXEC);
		made -= fd < 0;
		if (fd >= 0) {
			close(fd);
		}
	}
	for (int i = 0; i < 2 * FILES; i++) {
		snprintf(name, sizeof name, "probe-many-%d", i);
		unlink(name);
	}
	return made == 2 * FILES;
}

static bool try_mount(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount("tmpfs", ".", "tmpfs", 0, "size=1M") == 0;
}

static bool try_fork(void)
{
	pid_t pid = fork();
	if (pid == 0) {
		_exit(0);
	}
	return pid > 0 && waitpid(pid, NULL, 0) == pid;
}

static bool try_kill(void)
{
	return kill(getpid(), 0) == 0;
}

static bool try_owner(void)
{
	return fcntl(STDIN_FILENO, F_SETOWN, getpid()) == 0;
}

static bool try_code(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory != MAP_FAILED && munmap(memory, 4096) == 0;
}

static bool try_make_code(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return memory != MAP_FAILED && mprotect(memory, 4096, PROT_READ | PROT_EXEC) == 0;
}

static bool try_look_into(void)
{
	char byte = 0;
	char other = 1;
	struct iovec local = {&byte, 1};
	struct iovec remote = {&other, 1};
	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1;
}

static bool try_memory(void)
{
	void *memory = mmap(NULL, MEMORY * 4UL, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return memory != MAP_FAILED && munmap(memory, MEMORY * 4UL) == 0;
}

static bool try_dump(void)
{
	return prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

static bool try_speak(void)
{
	struct stat one;
	struct stat null = {.st_rdev = 0x0103};
	return fstat(STDOUT_FILENO, &one) == 0 && (!S_ISCHR(one.st_mode) || one.st_rdev != null.st_rdev);
}

/* Fit for root, or for anybody, outside the sandbox. */
static bool try_link(void)
{
	return symlink("/etc/passwd", "probe-link") == 0 && unlink("probe-link") == 0;
}

static bool try_namespace(void)
{
	return unshare(CLONE_NEWUTS | (geteuid() == 0 ? 0 : CLONE_NEWUSER)) == 0;
}

static bool try_root(void)
{
	return geteuid() == 0 || setuid(0) == 0;
}

enum how {
	BY_SECCOMP = 1, /* alone: not held in a build with sanitizers */
	AS_ROOT = 2,    /* outside the sandbox root can, others cannot */
	BY_TMPFS = 4    /* alone */
};

static const struct probe {
	const char *name;
	bool (*run)(void);
	unsigned how;
} probes[] = {
    {"open /etc/passwd", try_read, 0},
    {"open a file of /proc", try_proc, 0},
    {"open a device", try_device, 0},
    {"climb out of its folder", try_climb, 0},
    {"list a folder", try_list, 0},
    {"make a file elsewhere", try_write_elsewhere, 0},
    {"make a link", try_link, 0},
    {"write a large file", try_large_file, 0},
    {"fill the disk with several files", try_large_files, BY_TMPFS},
    {"use up the inodes", try_many_files, BY_TMPFS},
    {"write to the standard output", try_speak, 0},
    {"be root", try_root, AS_ROOT},
    {"make an internet socket", try_inet, BY_SECCOMP},
    {"make a unix socket", try_unix, BY_SECCOMP},
    {"make a netlink socket", try_netlink, BY_SECCOMP},
    {"connect a socket", try_connect, BY_SECCOMP},
    {"send through a socket", try_send_to, BY_SECCOMP},
    {"fork", try_fork, BY_SECCOMP},
    {"run a program", try_exec, BY_SECCOMP},
    {"be traced", try_trace, BY_SECCOMP},
    {"trace another process", try_trace_parent, BY_SECCOMP | AS_ROOT},
    {"send a signal to another process", try_kill_parent, BY_SECCOMP | AS_ROOT},
    {"mount a file system", try_mount, BY_SECCOMP | AS_ROOT},
    {"send a signal", try_kill, BY_SECCOMP},
    {"ask for signals to another process", try_owner, BY_SECCOMP},
    {"map memory as code", try_code, BY_SECCOMP},
    {"make memory code", try_make_code, BY_SECCOMP},
    {"read another process's memory", try_look_into, BY_SECCOMP},
    {"take much memory", try_memory, BY_SECCOMP},
    {"become dumpable", try_dump, BY_SECCOMP},
    {"make a namespace", try_namespace, BY_SECCOMP},
};
enum { PROBES = sizeof probes / sizeof *probes };

struct outcome {
	bool entered;
	bool own_folder; /* a file can be made, written, read and removed there, and a folder too */
	bool can[PROBES];
	char holds[160];
};

static bool use_folder(void)
{
	char path[256];
	char byte = 0;
	const char *folder = strcmp(sandbox_directory(), "/") == 0 ? "" : sandbox_directory();
	snprintf(path, sizeof path, "%s/file", folder);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	bool good = fd >= 0 && write(fd, "x", 1) == 1 && pread(fd, &byte, 1, 0) == 1 && byte == 'x' && close(fd) == 0 &&
	            unlink(path) == 0;
	return good && mkdir(path, 0700) == 0 && rmdir(path) == 0;
}

static void child_run(bool inside, uid_t user, struct outcome *outcome)
{
	struct sandbox_settings settings = {.directory = directory, .memory_max = MEMORY, .disk_max = DISK, .files_max = FILES};
	if (user != 0 && geteuid() == 0 && (setgid(user) != 0 || setuid(user) != 0)) {
		_exit(1);
	}
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* as the nursery is, which is executed after such a change of user */
	if (inside) {
		sandbox_isolate();
		if (!sandbox_enter(&settings)) {
			_exit(2);
		}
		outcome->own_folder = use_folder();
		snprintf(outcome->holds, sizeof outcome->holds, "%s", sandbox_text());
	} else if (chdir(directory) != 0) {
		_exit(3);
	}
	for (size_t i = 0; i < PROBES; i++) {
		outcome->can[i] = probes[i].run();
	}
	outcome->entered = true;
	_exit(0);
}

/* Each trial in a process of its own; what came of it is in shared memory. */
static struct outcome run(bool inside, uid_t user)
{
	struct outcome *shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(shared, 0, sizeof *shared);
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		child_run(inside, user, shared);
	}
	int status;
	waitpid(pid, &status, 0);
	if (!shared->entered) {
		diag("the child ended with status %#x", (unsigned)status);
	}
	struct outcome outcome = *shared;
	munmap(shared, sizeof *shared);
	return outcome;
}

static void check(uid_t user, const char *who)
{
	if (geteuid() == 0 && chown(directory, user == 0 ? SANDBOX_USER : user, (gid_t)-1) != 0) {
		ok(false, "chown");
	}
	struct outcome outside = run(false, user);
	struct outcome inside = run(true, user);
	ok(outside.entered && inside.entered, "%s: both trials ran", who);
	diag("%s: %s", who, inside.holds);
	ok(strstr(inside.holds, "rlimits") != NULL && strstr(inside.holds, "seccomp") != NULL, "%s: it is told what holds",
	   who);
	for (size_t i = 0; i < PROBES; i++) {
		if (probes[i].run == try_mount && outside.can[i]) {
			ok(strstr(inside.holds, "tmpfs") != NULL, "%s: who can mount has a tmpfs", who);
		}
	}
	ok(inside.own_folder, "%s: the worker can use its own folder", who);
	bool seccomp = strstr(inside.holds, "no-seccomp") == NULL;
	for (size_t i = 0; i < PROBES; i++) {
		if ((probes[i].how & BY_SECCOMP) != 0 && !seccomp) {
			diag("%s: not held in this build: %s", who, probes[i].name);
			continue;
		}
		if ((probes[i].how & BY_TMPFS) != 0 && strstr(inside.holds, "tmpfs") == NULL) {
			diag("%s: no tmpfs can be mounted here: %s", who, probes[i].name);
			continue;
		}
		ok(!inside.can[i], "%s: a worker cannot %s", who, probes[i].name);
		if (probes[i].run == try_namespace && user != 0 && !outside.can[i]) {
			diag("%s: nobody can %s here (a chroot, or forbidden by the system)", who, probes[i].name);
		} else if ((probes[i].how & AS_ROOT) == 0 || user == 0) {
			ok(outside.can[i], "%s: others can %s", who, probes[i].name);
		}
	}
}

int main(void)
{
	open_socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (mkdtemp(directory) == NULL) {
		skip_all("no folder can be made in /tmp");
	}
	if (geteuid() == 0) {
		check(0, "root");
	}
	check(geteuid() == 0 ? NOBODY : geteuid(), "another user");
	rmdir(directory);
	return done_testing();
}
