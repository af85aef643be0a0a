// Serves a folder over HTTP/1.1 on the loopback, as a link with a latency and a bandwidth would: `GET`, `HEAD`, and as
// much of the REST API of S3 as its clients need (`/BUCKET/KEY`: `PUT`, `DELETE`, `DeleteObjects`, `ListObjectsV2`;
// signatures are ignored).
//
//     latency_server FOLDER [--latency-ms 10] [--bandwidth 200000000] [--port 0] [--writable]
//
// The first byte of each answer waits for the latency; the bandwidth is that of all answers together, in bytes a second.
// The first line that is printed is the port. `/__stats__` tells what was asked for since it was last asked. One thread:
// it takes as little as possible of the processors, which it shares with the client that is measured. The server ends when
// its standard input does.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "link.h"

enum { MAX_EVENTS = 256, BACKLOG = 1024 };
static const unsigned long TIMER_SLACK_NANOSECONDS = 5000;

typedef struct {
    const char *folder;
    double latency_ms, bandwidth;
    int port, is_writable;
} Options;

static Options parse_options(int count, char **words)
{
    static int is_writable;
    static const struct option known[] = {{"latency-ms", required_argument, NULL, 'l'},
                                          {"bandwidth", required_argument, NULL, 'b'},
                                          {"port", required_argument, NULL, 'p'},
                                          {"writable", no_argument, &is_writable, 1},
                                          {0}};
    Options options = {0};
    for (int found; (found = getopt_long(count, words, "", known, NULL)) != -1;) {
        if (found == 'l') options.latency_ms = atof(optarg);
        else if (found == 'b') options.bandwidth = atof(optarg);
        else if (found == 'p') options.port = atoi(optarg);
        else if (found) exit(2);
    }
    if (optind + 1 != count || options.latency_ms < 0 || options.bandwidth < 0) {
        fprintf(stderr, "usage: %s FOLDER [--latency-ms N] [--bandwidth BYTES] [--port N] [--writable]\n", words[0]);
        exit(2);
    }
    options.folder = words[optind];
    options.is_writable = is_writable;
    return options;
}

static int checked(int result, const char *what)
{
    if (result >= 0) return result;
    perror(what);
    exit(1);
}

static int listen_at(int port)
{
    int listener = checked(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    checked(bind(listener, (struct sockaddr *)&at, size), "bind");
    checked(listen(listener, BACKLOG), "listen");
    checked(getsockname(listener, (struct sockaddr *)&at, &size), "getsockname");
    printf("%d\n", ntohs(at.sin_port));
    fflush(stdout);
    return listener;
}

static void watch(int events, int file, uint32_t for_what, void *as)
{
    struct epoll_event event = {.events = for_what, .data.ptr = as};
    if (epoll_ctl(events, EPOLL_CTL_ADD, file, &event) && errno != EPERM) checked(-1, "epoll_ctl");  // EPERM: not a pipe
}

static void allow_many_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit)) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

// Wait for events until a moment, which poll keeps to the nanosecond, and epoll to the millisecond.
static int wait_until(int events, int64_t until, struct epoll_event *found)
{
    int64_t left = until - moment();
    if (until == INT64_MAX) return epoll_wait(events, found, MAX_EVENTS, -1);
    if (left > 0) {
        struct timespec rest = {left / 1000000000, left % 1000000000};
        ppoll(&(struct pollfd){.fd = events, .events = POLLIN}, 1, &rest, NULL);
    }
    return epoll_wait(events, found, MAX_EVENTS, 0);
}

static void accept_all(Server *server, int listener)
{
    for (int client; (client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;)
        connection_open(server, client);
}

static void serve(Server *server, int listener)
{
    struct epoll_event found[MAX_EVENTS];
    watch(server->events, listener, EPOLLIN, &listener);
    watch(server->events, STDIN_FILENO, 0, NULL);  // that it has ended is always told
    for (int64_t next = INT64_MAX;; next = link_turn(server)) {
        int count = wait_until(server->events, next, found);
        for (int i = 0; i < count; i++) {
            if (found[i].data.ptr == &listener) accept_all(server, listener);
            else if (found[i].data.ptr) connection_event(server, found[i].data.ptr, found[i].events);
            else if (found[i].events & (EPOLLHUP | EPOLLERR)) return;
        }
    }
}

int main(int count, char **words)
{
    Options options = parse_options(count, words);
    Server server = {.is_writable = options.is_writable};
    server.root = checked(open(options.folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), options.folder);
    server.events = checked(epoll_create1(EPOLL_CLOEXEC), "epoll_create1");
    server.link.latency = (int64_t)(options.latency_ms * 1e6);
    server.link.nanoseconds_a_byte = options.bandwidth > 0 ? 1e9 / options.bandwidth : 0;
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NANOSECONDS);
    allow_many_files();
    serve(&server, listen_at(options.port));
}
