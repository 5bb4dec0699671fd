#include "config.h"
#include "inspect/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>
#ifdef HAVE_LINUX_LANDLOCK_H
#include <linux/landlock.h>
#endif

/* The sanitizers' runtimes map terabytes and call what no worker needs. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZER 1
#endif
#endif
#ifndef SANITIZER
#define SANITIZER 0
#endif

enum { FILES_MAX = 256 };

static char holds[96];
static const char *inner_directory;

static void remember(const char *what)
{
	size_t n = strlen(holds);
	snprintf(holds + n, sizeof holds - n, "%s%s", n == 0 ? "" : " ", what);
}

const char *sandbox_text(void)
{
	return holds;
}

const char *sandbox_directory(void)
{
	return inner_directory;
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (write(fd, text, strlen(text)) < 0) {
			/* Without a map our files belong to "nobody" in our own eyes only. */
		}
		close(fd);
	}
}

void sandbox_isolate(void)
{
	char map[64];
	uid_t user = geteuid();
	gid_t group = getegid();
	if (unshare(CLONE_NEWNET) == 0) {
		remember("netns");
		return;
	}
	if (unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
		return;
	}
	write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof map, "%u %u 1", user, user);
	write_file("/proc/self/uid_map", map);
	snprintf(map, sizeof map, "%u %u 1", group, group);
	write_file("/proc/self/gid_map", map);
	remember("userns netns");
}

static bool limit(__rlimit_resource_t resource, rlim_t most)
{
	struct rlimit value;
	if (getrlimit(resource, &value) != 0) {
		return false;
	}
	if (value.rlim_max == RLIM_INFINITY || value.rlim_max > most) {
		value.rlim_max = most;
	}
	value.rlim_cur = value.rlim_max;
	return setrlimit(resource, &value) == 0;
}

/* Address space in use, bytes. */
static uint64_t address_space(void)
{
	unsigned long long pages = 0;
	FILE *file = fopen("/proc/self/statm", "re");
	if (file != NULL) {
		if (fscanf(file, "%llu", &pages) != 1) {
			pages = 0;
		}
		fclose(file);
	}
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* Nothing to read, and nobody to talk to: a worker that was taken over could write to the administrator's terminal. */
static bool close_standard(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	bool good = fd >= 0 && dup2(fd, STDIN_FILENO) >= 0 && dup2(fd, STDOUT_FILENO) >= 0 &&
	            (SANITIZER || dup2(fd, STDERR_FILENO) >= 0);
	if (fd > STDERR_FILENO) {
		close(fd);
	}
	return good;
}

/* Files that a worker leaves go with its mount namespace, and one that was taken over cannot fill the disk. With the
 * rights of the nursery's user namespace, or of root; a system may forbid both. */
static bool mount_tmpfs(const struct sandbox_settings *settings)
{
	char options[160];
	int n = snprintf(options, sizeof options, "size=%llu,nr_inodes=%llu,mode=0700", (unsigned long long)settings->disk_max,
	                 (unsigned long long)settings->files_max);
	if (geteuid() == 0) { /* else it is ours anyway */
		snprintf(options + n, sizeof options - (size_t)n, ",uid=%d,gid=%d", SANDBOX_USER, SANDBOX_USER);
	}
	return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("tmpfs", settings->directory, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, options) == 0;
}

/* With the same rights. */
static bool enter_root(const char *directory)
{
	if (chroot(directory) != 0) {
		inner_directory = directory;
		return chdir(directory) == 0;
	}
	inner_directory = "/";
	remember("chroot");
	return chdir("/") == 0;
}

/* Root's own files are open to root even without a capability: it must become somebody else. That clears the signal at
 * the parent's death, so it is asked for after it. */
static bool drop_rights(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{.effective = 0}};
	if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(SANDBOX_USER, SANDBOX_USER, SANDBOX_USER) != 0 ||
	                       setresuid(SANDBOX_USER, SANDBOX_USER, SANDBOX_USER) != 0)) {
		return false;
	}
	return syscall(SYS_capset, &header, none) == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 &&
	       prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}

static bool enter_limits(const struct sandbox_settings *settings, uint64_t used)
{
	bool memory = SANITIZER || (used > 0 && limit(RLIMIT_AS, used + settings->memory_max));
	signal(SIGXFSZ, SIG_IGN); /* a file that becomes too large is an error for libclamav, not its death */
	if (!memory || !limit(RLIMIT_NOFILE, FILES_MAX) || !limit(RLIMIT_CPU, SANDBOX_CPU_SECONDS) ||
	    !limit(RLIMIT_CORE, 0) || !limit(RLIMIT_FSIZE, settings->disk_max) || !limit(RLIMIT_MSGQUEUE, 0) ||
	    !limit(RLIMIT_MEMLOCK, 0) || !limit(RLIMIT_NPROC, 0)) {
		return false;
	}
	remember(SANITIZER ? "rlimits-but-memory" : "rlimits");
	return true;
}

#ifdef HAVE_LINUX_LANDLOCK_H
/* All rights over files are taken away but those below the directory. */
static bool enter_landlock(const char *directory)
{
	const uint64_t all = (LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1;
	struct landlock_ruleset_attr ruleset = {.handled_access_fs = all};
	int fd = (int)syscall(SYS_landlock_create_ruleset, &ruleset, sizeof ruleset, 0);
	if (fd < 0) {
		return false;
	}
	struct landlock_path_beneath_attr beneath = {
	    .allowed_access = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
	                      LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR |
	                      LANDLOCK_ACCESS_FS_MAKE_REG,
	    .parent_fd = open(directory, O_PATH | O_CLOEXEC),
	};
	bool good = beneath.parent_fd >= 0 &&
	            syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) == 0 &&
	            syscall(SYS_landlock_restrict_self, fd, 0) == 0;
	if (beneath.parent_fd >= 0) {
		close(beneath.parent_fd);
	}
	close(fd);
	return good;
}
#else
static bool enter_landlock(const char *directory)
{
	(void)directory;
	return false;
}
#endif

/* What libclamav, libopendkim, libcrypto and our own code call at work. No socket, no process, no signal to others;
 * which files can be opened is Landlock's business. What is not listed fails with EPERM. */
static const int allowed[] = {
    SCMP_SYS(read),
    SCMP_SYS(write),
    SCMP_SYS(pread64),
    SCMP_SYS(pwrite64),
    SCMP_SYS(readv),
    SCMP_SYS(writev),
    SCMP_SYS(lseek),
    SCMP_SYS(close),
    SCMP_SYS(fstat),
    SCMP_SYS(stat),
    SCMP_SYS(lstat),
    SCMP_SYS(newfstatat),
    SCMP_SYS(statx),
    SCMP_SYS(access),
    SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2),
    SCMP_SYS(open),
    SCMP_SYS(openat),
    SCMP_SYS(creat),
    SCMP_SYS(mkdir),
    SCMP_SYS(mkdirat),
    SCMP_SYS(unlink),
    SCMP_SYS(unlinkat),
    SCMP_SYS(rmdir),
    SCMP_SYS(rename),
    SCMP_SYS(renameat),
    SCMP_SYS(ftruncate),
    SCMP_SYS(fallocate),
    SCMP_SYS(getdents64),
    SCMP_SYS(getcwd),
    SCMP_SYS(umask),
    SCMP_SYS(fchmod),
    SCMP_SYS(chmod),
    SCMP_SYS(munmap),
    SCMP_SYS(mremap),
    SCMP_SYS(madvise),
    SCMP_SYS(brk),
    SCMP_SYS(rt_sigaction),
   
    SCMP_SYS(rt_sigprocmask),
    SCMP_SYS(rt_sigreturn),
    SCMP_SYS(sigaltstack),
    SCMP_SYS(clock_gettime),
    SCMP_SYS(clock_getres),
    SCMP_SYS(gettimeofday),
    SCMP_SYS(time),
    SCMP_SYS(nanosleep),
    SCMP_SYS(clock_nanosleep),
    SCMP_SYS(getpid),
    SCMP_SYS(gettid),
    SCMP_SYS(getuid),
    SCMP_SYS(geteuid),
    SCMP_SYS(getgid),
    SCMP_SYS(getegid),
    SCMP_SYS(futex),
    SCMP_SYS(getrandom),
    SCMP_SYS(exit),
    SCMP_SYS(exit_group),
    SCMP_SYS(recvmsg),
    SCMP_SYS(sendmsg),
    SCMP_SYS(poll),
    SCMP_SYS(ppoll),
    SCMP_SYS(dup),
    SCMP_SYS(sched_yield),
    SCMP_SYS(sched_getaffinity),
    SCMP_SYS(sysinfo),
    SCMP_SYS(uname),
    SCMP_SYS(getrusage),
    SCMP_SYS(times),
    SCMP_SYS(readlink),
    SCMP_SYS(readlinkat),
    SCMP_SYS(fstatfs),
    SCMP_SYS(restart_syscall),
};

/* F_SETOWN and F_SETSIG would let a worker send any signal to its own user's processes: the daemon. */
static const int allowed_fcntl[] = {F_DUPFD, F_DUPFD_CLOEXEC, F_GETFD, F_SETFD, F_GETFL, F_SETFL};

/* Memory never becomes code. */
static bool allow_memory(scmp_filter_ctx filter)
{
	const struct scmp_arg_cmp data = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1, data) == 0 &&
	       seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1, data) == 0;
}

static bool enter_seccomp(void)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	bool good = filter != NULL;
	for (size_t i = 0; good && i < sizeof allowed / sizeof *allowed; i++) {
		int error = seccomp_rule_add(filter, SCMP_ACT_ALLOW, allowed[i], 0);
		good = error == 0 || error == -EDOM; /* EDOM: this architecture has no such call */
	}
	for (size_t i = 0; good && i < sizeof allowed_fcntl / sizeof *allowed_fcntl; i++) {
		const struct scmp_arg_cmp command = SCMP_A1(SCMP_CMP_EQ, (scmp_datum_t)allowed_fcntl[i], 0);
		good = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(fcntl), 1, command) == 0;
	}
	good = good && allow_memory(filter) && seccomp_load(filter) == 0;
	seccomp_release(filter);
	return good;
}

bool sandbox_enter(const struct sandbox_settings *settings)
{
	uint64_t used = address_space();
	remember(mount_tmpfs(settings) ? "tmpfs" : "folder");
	if (!close_standard() || !enter_root(settings->directory) || !drop_rights() || !enter_limits(settings, used)) {
		return false;
	}
	if (enter_landlock(inner_directory)) {
		remember("landlock");
	} else if (strcmp(inner_directory, "/") != 0) {
		return false; /* all files of our user would lie open */
	}
	if (SANITIZER) {
		remember("no-seccomp-in-sanitizer-build");
		return true;
	}
	if (!enter_seccomp()) {
		return false;
	}
	remember("seccomp");
	return true;
}
