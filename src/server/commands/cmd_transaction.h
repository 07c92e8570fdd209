/* cmd_transaction.h - what the dispatcher must know of MULTI and EXEC: which row is EXEC's. */
#pragma once

struct call;

void transaction_exec(struct call *call);
