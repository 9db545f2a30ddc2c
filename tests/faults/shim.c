/* Lets the n-th call on files below a folder fail, whoever makes it: Python, HDF5, PyTorch, Rust.
 *
 *   cc -shared -fPIC -O1 -o shim.so shim.c -ldl ;  LD_PRELOAD=shim.so python ...
 *
 * shim_arm(folder, at, error) begins to count: call number `at` (from 0, of those that touch
 * files below `folder`) returns -1 with this errno; an error of 0 kills the process there.
 * With at = -1 nothing fails. shim_calls() tells how many there were, shim_name(i) which ones.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FILES 4096
#define CALLS 65536

static char root[PATH_MAX];
static long at = -1, calls = 0;
static int armed = 0, code = 0;
static char ours[FILES];           /* is this descriptor a file below the folder */
static const char *names[CALLS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void shim_arm(const char *folder, long number, int error) {
    snprintf(root, sizeof root, "%s", folder);
    at = number; code = error; calls = 0; armed = 1;
    memset(ours, 0, sizeof ours);
}
void shim_disarm(void) { armed = 0; }
long shim_calls(void) { return calls; }
const char *shim_name(long i) { return names[i]; }

static int fails(const char *name) {
    pthread_mutex_lock(&lock);
    long number = calls++;
    if (number < CALLS) names[number] = name;
    pthread_mutex_unlock(&lock);
    if (number != at) return 0;
    if (!code) kill(getpid(), SIGKILL);
    errno = code;
    return 1;
}
static int below(const char *path) { return armed && path && strstr(path, root); }
static int mine(int fd) { return armed && fd >= 0 && fd < FILES && ours[fd]; }
static int opened(int fd, const char *path) {
    if (fd >= 0 && fd < FILES) ours[fd] = below(path);
    return fd;
}
#define REAL(kind, name) \
    static kind (*real)() = NULL; if (!real) real = (kind (*)())dlsym(RTLD_NEXT, name)

#define OPEN(symbol, how) \
int symbol(const char *path, int flags, ...) { \
    REAL(int, #symbol); va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); \
    va_end(rest); if (below(path) && fails((flags & O_ACCMODE) || (flags & O_CREAT) ? "create" : "open")) return -1; \
    return opened(real(path, flags, mode), path); }
OPEN(open, 0)
OPEN(open64, 0)
#define OPENAT(symbol) \
int symbol(int folder, const char *path, int flags, ...) { \
    REAL(int, #symbol); va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); \
    va_end(rest); if (below(path) && fails("open")) return -1; \
    return opened(real(folder, path, flags, mode), path); }
OPENAT(openat)
OPENAT(openat64)
#define FOPEN(symbol) \
FILE *symbol(const char *path, const char *mode) { \
    REAL(FILE *, #symbol); if (below(path) && fails("fopen")) return NULL; \
    FILE *file = real(path, mode); if (file) opened(fileno(file), path); return file; }
FOPEN(fopen)
FOPEN(fopen64)
int close(int fd) { REAL(int, "close"); if (fd >= 0 && fd < FILES) ours[fd] = 0; return real(fd); }

#define CALL(kind, symbol, label, params, args) \
kind symbol params { REAL(kind, #symbol); if (mine(fd) && fails(label)) return -1; return real args; }
CALL(ssize_t, write, "write", (int fd, const void *b, size_t n), (fd, b, n))
CALL(ssize_t, pwrite, "write", (int fd, const void *b, size_t n, off_t o), (fd, b, n, o))
CALL(ssize_t, pwrite64, "write", (int fd, const void *b, size_t n, off64_t o), (fd, b, n, o))
CALL(ssize_t, writev, "write", (int fd, const struct iovec *v, int n), (fd, v, n))
CALL(ssize_t, read, "read", (int fd, void *b, size_t n), (fd, b, n))
CALL(ssize_t, pread, "read", (int fd, void *b, size_t n, off_t o), (fd, b, n, o))
CALL(ssize_t, pread64, "read", (int fd, void *b, size_t n, off64_t o), (fd, b, n, o))
CALL(int, fsync, "fsync", (int fd), (fd))
CALL(int, fdatasync, "fsync", (int fd), (fd))
CALL(int, ftruncate, "truncate", (int fd, off_t n), (fd, n))
CALL(int, ftruncate64, "truncate", (int fd, off64_t n), (fd, n))

#define BY_PATH(symbol, params, args) \
int symbol params { REAL(int, #symbol); if (below(path) && fails(#symbol)) return -1; return real args; }
BY_PATH(unlink, (const char *path), (path))
BY_PATH(rmdir, (const char *path), (path))
BY_PATH(mkdir, (const char *path, mode_t mode), (path, mode))
BY_PATH(link, (const char *path, const char *to), (path, to))
BY_PATH(rename, (const char *path, const char *to), (path, to))
int linkat(int a, const char *path, int b, const char *to, int flags) {
    REAL(int, "linkat"); if (below(path) && fails("link")) return -1; return real(a, path, b, to, flags); }
int renameat(int a, const char *path, int b, const char *to) {
    REAL(int, "renameat"); if (below(path) && fails("rename")) return -1; return real(a, path, b, to); }
int unlinkat(int a, const char *path, int flags) {
    REAL(int, "unlinkat"); if (below(path) && fails("unlink")) return -1; return real(a, path, flags); }
