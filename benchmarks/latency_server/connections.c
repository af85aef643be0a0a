#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include "link.h"

// A connection reads the head of a request, stores its body if it has one, waits for the latency, and sends the answer,
// in parts and with others in turn; then it reads again. All sockets are edge-triggered: none is registered twice.

enum { MAX_TURNS = 32 };
static const int64_t PART_BYTES = 65536, UNLIMITED_PART_BYTES = 1 << 20;
static const int64_t NEVER = INT64_MAX;

int64_t moment(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

void connection_open(Server *server, int socket)
{
    Connection *connection = calloc(1, sizeof *connection);
    struct epoll_event all = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = connection};
    if (!connection || epoll_ctl(server->events, EPOLL_CTL_ADD, socket, &all)) {
        close(socket);
        free(connection);
        return;
    }
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
    connection->socket = socket;
    connection->upload.file = connection->answer.file = -1;
    server->connections++;
}

static void connection_close(Server *server, Connection *connection)
{
    close(connection->socket);
    upload_abort(server->root, &connection->upload);
    answer_clear(&connection->answer);
    text_free(&connection->answer.text);
    free(connection);
}

static void enter_link(Server *server, Connection *connection)
{
    int64_t now = moment();
    Link *link = &server->link;
    if (!link->sending.first && link->free_at < now) link->free_at = now;  // what it did not carry is lost
    connection->state = SENDING;
    queue_add(&link->sending, connection);
}

static void answer_later(Server *server, Connection *connection)
{
    if (!server->link.latency) return enter_link(server, connection);
    connection->state = WAITING;
    connection->due = moment() + server->link.latency;
    queue_add(&server->link.waiting, connection);
}

static void answer_stats(Server *server, Answer *answer)
{
    Text body = {0};
    text_add(&body, "{\"requests\": %lld, \"body_bytes\": %lld, \"connections\": %lld}\n", (long long)server->requests,
             (long long)server->body_bytes, (long long)server->connections);
    server->requests = server->body_bytes = server->connections = 0;
    answer_text(answer, "application/json", &body);
    answer->head = answer->text.size;  // its body does not count
    text_free(&body);
}

// The answer to a request that has no body.
static void answer_request(Server *server, const Request *request, Answer *answer)
{
    bool reads = request->method == GET || request->method == HEAD;
    if (request->method == DELETE && server->is_writable) object_delete(server->root, request, answer);
    else if (!reads) answer_status(answer, request, 405);
    else if (!is_bucket(server->root, request->key)) object_get(server->root, request, answer);
    else if (request->method == GET) list_objects(server->root, request, answer);
    else answer_head(answer, 200, 0, "x-amz-bucket-region: us-east-1\r\n");
}

// An error after which the stream of requests cannot be followed: the connection ends with it.
static void refuse(Server *server, Connection *connection, const Request *request, int status)
{
    connection->is_last = true;
    answer_status(&connection->answer, request, status);
    answer_later(server, connection);
}

static void begin_upload(Server *server, Connection *connection, const Request *request)
{
    int status = !server->is_writable ? 405 : request->has_coding ? 501 : upload_begin(server->root, request, &connection->upload);
    if (status) return refuse(server, connection, request, status);
    if (request->expects_continue) send(connection->socket, "HTTP/1.1 100 Continue\r\n\r\n", 25, MSG_NOSIGNAL);
    connection->state = STORING;
}

static void begin_request(Server *server, Connection *connection, Request *request)
{
    connection->is_last |= request->is_last;
    if (request->method == GET && !strcmp(request->key, "__stats__")) {
        answer_stats(server, &connection->answer);
        return enter_link(server, connection);
    }
    server->requests++;
    bool deletes = request->method == POST && request->query && !strncmp(request->query, "delete", 6);
    if (request->method == PUT || deletes) return begin_upload(server, connection, request);
    if (request->body || request->has_coding) return refuse(server, connection, request, 501);
    answer_request(server, request, &connection->answer);
    answer_later(server, connection);
}

static void drop_input(Connection *connection, size_t size)
{
    connection->filled -= size;
    memmove(connection->in, connection->in + size, connection->filled);
}

// Take the next request out of what was read. False where it is not complete.
static bool take_request(Server *server, Connection *connection)
{
    Request request;
    size_t size = request_head(connection->in, connection->filled);
    bool is_too_long = !size && connection->filled == HEAD_BYTES;
    if (!size && !is_too_long) return false;
    answer_clear(&connection->answer);
    bool is_right = size && request_parse(connection->in, size, &request);
    if (is_right) begin_request(server, connection, &request);
    else refuse(server, connection, &(Request){0}, is_too_long ? 431 : 400);
    drop_input(connection, is_too_long ? connection->filled : size);
    return true;
}

// Store what was read of a body. False where more must be read.
static bool take_body(Server *server, Connection *connection)
{
    Upload *upload = &connection->upload;
    size_t size = (int64_t)connection->filled < upload->left ? connection->filled : (size_t)upload->left;
    bool is_written = write(upload->file, connection->in, size) == (ssize_t)size;
    drop_input(connection, size);
    upload->left -= (int64_t)size;
    if (is_written && upload->left) return false;
    int status = is_written ? upload_end(server->root, upload, &connection->answer) : 500;
    if (!is_written) upload_abort(server->root, upload);
    connection->is_last |= !is_written;
    if (status) answer_status(&connection->answer, &(Request){0}, status);
    answer_later(server, connection);
    return true;
}

// Read what has come. False where nothing has, or where the connection is over and closed.
static bool receive(Server *server, Connection *connection)
{
    if (!connection->has_unread) return false;
    size_t room = HEAD_BYTES - connection->filled;
    ssize_t got = recv(connection->socket, connection->in + connection->filled, room, 0);
    if (got <= 0) {
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) connection->has_unread = errno == EINTR;
        else connection_close(server, connection);
        return false;
    }
    connection->filled += (size_t)got;
    connection->has_unread = (size_t)got == room || connection->is_gone;
    return true;
}

static void advance(Server *server, Connection *connection)
{
    while (connection->state == READING || connection->state == STORING) {
        bool is_taken = connection->state == READING ? take_request(server, connection) : take_body(server, connection);
        if (!is_taken && !receive(server, connection)) return;
    }
}

void connection_event(Server *server, Connection *connection, uint32_t events)
{
    connection->has_unread |= (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    connection->is_gone |= (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
    if (connection->state == BLOCKED && events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) enter_link(server, connection);
    else advance(server, connection);
}

// Send some bytes of an answer, at most `most` of its file. Bytes, or -1 where none can be sent.
static int64_t send_part(Connection *connection, int64_t most)
{
    Answer *answer = &connection->answer;
    int64_t unsent = (int64_t)(answer->text.size - answer->sent), sent = 0;
    if (unsent) {
        int flags = MSG_NOSIGNAL | (answer->left ? MSG_MORE : 0);
        sent = send(connection->socket, answer->text.bytes + answer->sent, (size_t)unsent, flags);
        if (sent < 0) return -1;
        answer->sent += (size_t)sent;
    }
    if (sent < unsent || !answer->left) return sent;
    int64_t part = sendfile(connection->socket, answer->file, &answer->offset, (size_t)(answer->left < most ? answer->left : most));
    if (part <= 0) {
        if (!part) errno = EPIPE;  // the file is shorter than it was: the client must notice
        return sent ? sent : -1;
    }
    answer->left -= part;
    return sent + part;
}

static int64_t body_sent(const Answer *answer, size_t text_before, int64_t left_before)
{
    size_t before = text_before > answer->head ? text_before : answer->head, now = answer->sent;
    return left_before - answer->left + (now > before ? (int64_t)(now - before) : 0);
}

static void end_answer(Server *server, Connection *connection)
{
    answer_clear(&connection->answer);
    if (connection->is_last) return connection_close(server, connection);
    connection->state = READING;
    advance(server, connection);
}

// Send a part of the answer of one connection, and put it where it belongs then.
static void send_turn(Server *server, Connection *connection)
{
    Link *link = &server->link;
    Answer *answer = &connection->answer;
    size_t text = answer->sent;
    int64_t left = answer->left;
    int64_t sent = send_part(connection, link->nanoseconds_a_byte > 0 ? PART_BYTES : UNLIMITED_PART_BYTES);
    server->body_bytes += body_sent(answer, text, left);
    if (sent > 0) link->free_at += (int64_t)((double)sent * link->nanoseconds_a_byte);
    if (sent < 0 && errno == EAGAIN) connection->state = BLOCKED;
    else if (sent < 0 && errno != EINTR) connection_close(server, connection);
    else if (answer->left || answer->sent < answer->text.size) queue_add(&link->sending, connection);
    else end_answer(server, connection);
}

// Send what is due, as fast as the link is. Returns the moment at which there is more to do.
int64_t link_turn(Server *server)
{
    Link *link = &server->link;
    for (int turn = 0; turn < MAX_TURNS; turn++) {
        int64_t now = moment();
        while (link->waiting.first && link->waiting.first->due <= now) enter_link(server, queue_take(&link->waiting));
        if (!link->sending.first) return link->waiting.first ? link->waiting.first->due : NEVER;
        if (link->nanoseconds_a_byte > 0 && link->free_at > now) {
            int64_t due = link->waiting.first ? link->waiting.first->due : NEVER;
            return due < link->free_at ? due : link->free_at;
        }
        send_turn(server, queue_take(&link->sending));
    }
    return 0;
}
