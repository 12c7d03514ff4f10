/* The floor of a fan-out: accept COUNT connections, then send SIZE bytes to each of them EVERY milliseconds, nothing else.
 * Prints a line when all are there, reads what they send only so that nobody blocks. Usage: send_loop PORT COUNT SIZE EVERY
 */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    int port = atoi(argv[1]), count = atoi(argv[2]), size = atoi(argv[3]), every = atoi(argv[4]), one = 1;
    int *sockets = calloc(count, sizeof(int));
    char *data = calloc(1, size);
    struct sockaddr_in here = {.sin_family = AF_INET, .sin_port = htons(port)};
    inet_pton(AF_INET, "127.0.0.1", &here.sin_addr);
    int door = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(door, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(door, (struct sockaddr *)&here, sizeof here) || listen(door, 4096)) return 1;
    puts("listening");
    fflush(stdout);
    for (int n = 0; n < count; n++) {
        sockets[n] = accept(door, NULL, NULL);
        setsockopt(sockets[n], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    }
    struct timespec next;
    clock_gettime(CLOCK_MONOTONIC, &next);
    for (;;) {
        for (int n = 0; n < count; n++) send(sockets[n], data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
        next.tv_nsec += every * 1000000L;
        next.tv_sec += next.tv_nsec / 1000000000L;
        next.tv_nsec %= 1000000000L;
        clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
    }
}
