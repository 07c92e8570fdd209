/* tuco.h - all of libtuco's public API. */
#pragma once

#include <tuco/base.h>
#include <tuco/chan.h>
#include <tuco/context.h>
#include <tuco/defer.h>
#include <tuco/file.h>
#include <tuco/gc.h>
#include <tuco/go.h>
#include <tuco/loop.h>
#include <tuco/map.h>
#include <tuco/mem.h>
#include <tuco/net.h>
#include <tuco/observe.h>
#include <tuco/scope.h>
#include <tuco/select.h>
#include <tuco/slice.h>
#include <tuco/string.h>
#include <tuco/sync.h>
#include <tuco/time.h>
