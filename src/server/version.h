/* version.h - who we say we are. INFO, HELLO, --version and the log use these and nothing else. */
#pragma once

#define TUCO_VERSION "0.1.0"
#define REDIS_VERSION \
    "7.4.7" /* the version whose behaviour libraries may count on; they compare it */
#define SERVER_NAME "tuco"
