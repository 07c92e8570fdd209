/* chat_guests.h - the self-test of chat.c: clients that talk to it over loopback. */
#pragma once

/* Chats with the server that listens on this descriptor. 0, or -errno: -EPROTO if somebody heard what
 * he should not have heard. May park. */
int chat_guests(int listener_fd);
