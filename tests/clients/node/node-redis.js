// node-redis 6 in RESP3 (its default) and RESP2, as applications use it.
'use strict';
const assert = require('node:assert/strict');
const { createClient, RESP_TYPES, WatchError, ErrorReply, SimpleError } = require('redis');
const { port, host, scenario, run, sleep, binary } = require('./harness');

async function connected(body, options = {}) {
  const client = createClient({ socket: { port, host, reconnectStrategy: 10 }, ...options });
  client.on('error', () => {});
  await client.connect();
  try {
    await client.flushAll();
    await body(client);
  } finally {
    if (client.isOpen) client.destroy();
  }
}

for (const RESP of [3, 2]) {
  const with_ = (body, options = {}) => connected(body, { RESP, ...options });
  const each = (name, body) => scenario(`${name} (RESP${RESP})`, body);

  each('handshake with name and database', () => with_(async (client) => {
    assert.equal(await client.clientGetName(), 'worker');
    const me = await client.clientInfo();
    assert.equal(me.db, 2);
    assert.match(me.libName, /node-redis/);
    assert.equal(await client.ping(), 'PONG');
    assert.equal(await client.ping('hello'), 'hello');
  }, { name: 'worker', database: 2 }));

  each('strings, counters, deadlines', () => with_(async (client) => {
    assert.equal(await client.set('k', 'v', { expiration: { type: 'EX', value: 100 } }), 'OK');
    assert.equal(await client.get('k'), 'v');
    assert.equal(await client.ttl('k'), 100);
    assert.equal(await client.set('k', 'w', { condition: 'NX' }), null);
    assert.equal(await client.set('k', 'w', { GET: true, expiration: 'KEEPTTL' }), 'v');
    assert.equal(await client.incr('n'), 1);
    assert.equal(await client.incrBy('n', 41), 42);
    assert.equal(String(await client.incrByFloat('n', 0.5)), '42.5');
    assert.deepEqual(await client.mGet(['k', 'none', 'n']), ['w', null, '42.5']);
    assert.equal(await client.mSet({ a: '1', b: '2' }), 'OK');
    assert.equal(Number(await client.mSetNX({ a: '1', c: '2' })), 0);
    assert.equal(await client.exists(['a', 'b', 'c']), 2);
    assert.equal(await client.getDel('a'), '1');
    assert.equal(await client.getEx('b', { type: 'PX', value: 20 }), '2');
    await sleep(40);
    assert.equal(await client.get('b'), null);
    assert.equal(Number(await client.expire('k', 50, 'LT')), 1);
    assert.equal(Number(await client.persist('k')), 1);
    assert.equal(await client.lcsLen('k', 'n'), 0);
    assert.equal(await client.rename('k', 'k2'), 'OK');
    assert.equal(Number(await client.copy('k2', 'k3')), 1);
    assert.equal(await client.dbSize(), 3);
    assert.equal(await client.type('k2'), 'string');
    assert.equal(await client.objectEncoding('k2'), 'embstr');
  }));

  each('binary keys and values', () => with_(async (client) => {
    const buffers = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
    await client.set(binary, binary);
    assert.deepEqual(await buffers.get(binary), binary);
    assert.deepEqual(await buffers.keys('*'), [binary]);
    const big = Buffer.alloc(5 << 20, binary);
    await client.set('big', big);
    assert.ok((await buffers.get('big')).equals(big));
  }));

  each('hundreds at once on one connection', () => with_(async (client) => {
    const replies = await Promise.all(Array.from({ length: 1500 }, (_, i) => (i % 2 ? client.incr('n') : client.set(`k${i}`, `${i}`))));
    assert.equal(replies[1499], 750);
    const values = await Promise.all(Array.from({ length: 750 }, (_, i) => client.get(`k${2 * i}`)));
    assert.deepEqual(values, Array.from({ length: 750 }, (_, i) => `${2 * i}`));
  }));

  each('MULTI, pipeline, WATCH with a conflict', () => with_(async (client) => {
    assert.deepEqual(await client.multi().set('a', '1').incr('a').get('a').exec(), ['OK', 2, '2']);
    assert.deepEqual(await client.multi().set('p', '1').get('p').execAsPipeline(), ['OK', '1']);
    const other = await client.duplicate().connect();
    await client.watch('a');
    await other.set('a', '10');
    await assert.rejects(client.multi().incr('a').exec(), WatchError);
    await client.watch('a');
    assert.deepEqual(await client.multi().incr('a').exec(), [11]);
    await assert.rejects(client.multi().set('s', 'x').incr('s').exec(), (error) => /not all commands|1 commands failed/i.test(error.message)
      || error.replies?.[1] instanceof Error);
    assert.equal(await client.get('s'), 'x');
    other.destroy();
  }));

  each('SCAN finds every key that stays', () => with_(async (client) => {
    const transaction = client.multi();
    for (let i = 0; i < 3000; i++) transaction.set(`scan:${i}`, `${i}`);
    await transaction.exec();
    const seen = new Set();
    for await (const keys of client.scanIterator({ MATCH: 'scan:*', COUNT: 100, TYPE: 'string' })) {
      for (const key of keys) seen.add(key);
    }
    assert.equal(seen.size, 3000);
  }));

  each('errors keep their words', () => with_(async (client) => {
    await client.set('s', 'x');
    await assert.rejects(client.incr('s'), (error) => (error instanceof ErrorReply || error instanceof SimpleError)
      && error.message === 'ERR value is not an integer or out of range');
    await assert.rejects(client.sendCommand(['NOPE']), /ERR unknown command 'NOPE'/);
    await assert.rejects(client.sendCommand(['GET']), /ERR wrong number of arguments for 'get' command/);
    assert.equal(await client.ping(), 'PONG');
  }));

  each('comes back after CLIENT KILL, with its database and name', () => with_(async (client) => {
    await client.set('k', 'in 3');
    const admin = await createClient({ socket: { port, host } }).connect();
    const id = await client.clientId();
    const again = new Promise((done) => client.once('ready', done));
    assert.equal(await admin.clientKill({ filter: 'ID', id }), 1);
    await again;
    assert.equal(await client.get('k'), 'in 3');
    assert.equal(await client.clientGetName(), 'phoenix');
    admin.destroy();
  }, { database: 3, name: 'phoenix' }));

  each('password', () => with_(async (admin) => {
    await admin.configSet('requirepass', 'sesame');
    try {
      await connected(async (client) => {
        assert.equal(await client.set('k', 'v'), 'OK');
      }, { RESP, password: 'sesame' });
      const wrong = createClient({ RESP, password: 'wrong', socket: { port, host, reconnectStrategy: false } });
      wrong.on('error', () => {});
      await assert.rejects(wrong.connect(), /WRONGPASS/);
    } finally {
      await admin.configSet('requirepass', '');
    }
  }));

  each('introspection', () => with_(async (client) => {
    assert.ok((await client.command()).length > 60);
    assert.equal((await client.commandInfo(['get']))[0].name, 'get');
    assert.ok(await client.commandCount() > 60);
    assert.equal((await client.configGet('maxclients')).maxclients, '10000');
    assert.match(await client.info(), /redis_version:/);
    assert.equal((await client.clientList()).length, 1);
    assert.deepEqual(await client.commandGetKeys(['MSET', 'a', '1', 'b', '2']), ['a', 'b']);
    assert.ok(await client.time());
  }));
}

scenario('close lets what was sent finish', () => connected(async (client) => {
  const pending = client.set('k', 'v');
  await client.close();
  assert.equal(await pending, 'OK');
}));

scenario('a pool of connections', async () => {
  const { createClientPool } = require('redis');
  const pool = await createClientPool({ socket: { port, host } }, { minimum: 2, maximum: 6 }).connect();
  await pool.set('n', '0');
  await Promise.all(Array.from({ length: 600 }, () => pool.incr('n')));
  assert.equal(await pool.get('n'), '600');
  pool.destroy();
});

run('node-redis');
