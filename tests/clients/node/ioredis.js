// ioredis 6 in RESP3 (its default) and RESP2, as applications use it.
'use strict';
const assert = require('node:assert/strict');
const { Redis, ReplyError } = require('ioredis');
const { port, host, scenario, run, sleep, binary } = require('./harness');

async function connected(body, options = {}) {
  const redis = new Redis({ port, host, lazyConnect: true, ...options });
  const errors = [];
  redis.on('error', (error) => errors.push(error));
  await redis.connect();
  try {
    await redis.flushall();
    await body(redis);
  } finally {
    redis.disconnect();
  }
  return errors;
}

for (const protocol of [3, 2]) {
  const with_ = (body, options = {}) => connected(body, { protocol, ...options });
  const each = (name, body) => scenario(`${name} (RESP${protocol})`, body);

  each('handshake with ready check, name and database', async () => {
    const errors = await with_(async (redis) => {
      assert.equal(redis.status, 'ready');
      assert.equal(await redis.client('GETNAME'), 'worker');
      const me = await redis.client('INFO');
      assert.match(me, / db=2 /);
      assert.match(me, / lib-name=ioredis/);
      assert.match(me, new RegExp(` resp=${protocol}`));
      assert.equal(await redis.ping(), 'PONG');
      assert.match(await redis.info('server'), /redis_version:\d+\.\d+\.\d+/);
    }, { connectionName: 'worker', db: 2 });
    assert.deepEqual(errors, []);
  });

  each('strings, counters, deadlines', () => with_(async (redis) => {
    assert.equal(await redis.set('k', 'v', 'EX', 100), 'OK');
    assert.equal(await redis.get('k'), 'v');
    assert.equal(await redis.ttl('k'), 100);
    assert.equal(await redis.set('k', 'w', 'NX'), null);
    assert.equal(await redis.set('k', 'w', 'KEEPTTL', 'GET'), 'v');
    assert.equal(await redis.incr('n'), 1);
    assert.equal(await redis.incrby('n', 41), 42);
    assert.equal(await redis.incrbyfloat('n', 0.5), '42.5');
    assert.equal(await redis.append('k', 'xyz'), 4);
    assert.equal(await redis.getrange('k', 1, -1), 'xyz');
    assert.deepEqual(await redis.mget('k', 'none', 'n'), ['wxyz', null, '42.5']);
    assert.equal(await redis.mset({ a: 1, b: 2 }), 'OK');
    assert.equal(await redis.exists('a', 'b', 'c'), 2);
    assert.equal(await redis.del('a', 'b', 'c'), 2);
    assert.equal(await redis.type('k'), 'string');
    assert.equal(await redis.pexpire('k', 20), 1);
    await sleep(40);
    assert.equal(await redis.get('k'), null);
    assert.equal(await redis.pttl('k'), -2);
  }));

  each('binary keys and values', () => with_(async (redis) => {
    await redis.set(binary, binary);
    assert.deepEqual(await redis.getBuffer(binary), binary);
    assert.deepEqual(await redis.keysBuffer('*'), [binary]);
    const text = 'żółw 🐢 \u0000';
    await redis.set('text', text);
    assert.equal(await redis.get('text'), text);
    const big = Buffer.alloc(5 << 20, binary);
    await redis.set('big', big);
    assert.ok((await redis.getBuffer('big')).equals(big));
  }));

  each('a pipeline of hundreds', () => with_(async (redis) => {
    const pipeline = redis.pipeline();
    for (let i = 0; i < 800; i++) pipeline.set(`k${i}`, i).incr('n').get(`k${i}`);
    pipeline.incr('k-none').call('NOPE').get('k1');
    const replies = await pipeline.exec();
    assert.equal(replies.length, 2403);
    for (let i = 0; i < 800; i++) {
      assert.deepEqual(replies.slice(3 * i, 3 * i + 3), [[null, 'OK'], [null, i + 1], [null, String(i)]]);
    }
    assert.ok(replies[2401][0] instanceof ReplyError);
    assert.deepEqual(replies[2402], [null, '1']);
  }));

  each('enableAutoPipelining with many callers', () => with_(async (redis) => {
    await redis.set('n', 0);
    const replies = await Promise.all(Array.from({ length: 1000 }, () => redis.incr('n')));
    assert.deepEqual(replies.sort((a, b) => a - b), Array.from({ length: 1000 }, (_, i) => i + 1));
  }, { enableAutoPipelining: true }));

  each('MULTI, and WATCH with a conflict', () => with_(async (redis) => {
    assert.deepEqual(await redis.multi().set('a', 1).incr('a').get('a').exec(), [[null, 'OK'], [null, 2], [null, '2']]);
    const failed = await redis.multi().set('s', 'x').incr('s').get('s').exec();
    assert.equal(failed[1][0].message, 'ERR value is not an integer or out of range');
    assert.deepEqual(failed[2], [null, 'x']);
    await assert.rejects(redis.multi().set('a', 1).call('NOPE').exec(), /EXECABORT/);
    const other = redis.duplicate();
    await redis.watch('a');
    await other.set('a', 10);
    assert.equal(await redis.multi().incr('a').exec(), null);
    await redis.watch('a');
    await other.get('a');
    assert.deepEqual(await redis.multi().incr('a').exec(), [[null, 11]]);
    other.disconnect();
  }));

  each('SCAN finds every key that stays', () => with_(async (redis) => {
    const pipeline = redis.pipeline();
    for (let i = 0; i < 3000; i++) pipeline.set(`scan:${i}`, i);
    await pipeline.exec();
    const seen = new Set();
    let batches = 0;
    for await (const keys of redis.scanStream({ match: 'scan:*', count: 100 })) {
      for (const key of keys) seen.add(key);
      if (batches++ % 2) await redis.set(`other:${batches}`, 'x');
    }
    assert.equal(seen.size, 3000);
    assert.equal((await redis.keys('scan:*')).length, 3000);
  }));

  each('errors keep their class and words', () => with_(async (redis) => {
    await redis.set('s', 'x');
    await assert.rejects(redis.incr('s'), (error) => error instanceof ReplyError
      && error.message === 'ERR value is not an integer or out of range' && error.command.name === 'incr');
    await assert.rejects(redis.call('NOPE', 'a'), /^ReplyError: ERR unknown command 'NOPE', with args beginning with: 'a'/);
    await assert.rejects(redis.call('GET'), /ERR wrong number of arguments for 'get' command/);
    await assert.rejects(redis.select(99), /ERR DB index is out of range/);
    await assert.rejects(redis.auth('wrong'), /ERR AUTH <password> called without any password configured/);
    assert.equal(await redis.ping(), 'PONG');
  }));

  each('comes back after CLIENT KILL, with its database and name', () => with_(async (redis) => {
    await redis.set('k', 'in 3');
    const admin = new Redis({ port, host });
    const id = await redis.client('ID');
    const again = new Promise((done) => redis.once('ready', done));
    assert.equal(await admin.client('KILL', 'ID', id), 1);
    await again;
    assert.equal(await redis.get('k'), 'in 3');
    assert.equal(await redis.client('GETNAME'), 'phoenix');
    assert.notEqual(await redis.client('ID'), id);
    admin.disconnect();
  }, { db: 3, connectionName: 'phoenix', retryStrategy: () => 10 }));

  each('password', () => with_(async (admin) => {
    await admin.config('SET', 'requirepass', 'sesame');
    try {
      await connected(async (redis) => {
        assert.equal(await redis.set('k', 'v'), 'OK');
      }, { protocol, password: 'sesame' });
      const wrong = new Redis({ port, host, protocol, password: 'wrong', lazyConnect: true, retryStrategy: null });
      wrong.on('error', () => {});
      await assert.rejects(wrong.connect().then(() => wrong.get('k')), /WRONGPASS|NOAUTH|closed/);
      wrong.disconnect();
    } finally {
      await admin.config('SET', 'requirepass', '');
    }
  }));
}

scenario('quit', async () => {
  const redis = new Redis({ port, host });
  assert.equal(await redis.quit(), 'OK');
  await assert.rejects(redis.get('k'), /Connection is closed/);
});

scenario('COMMAND and CONFIG', () => connected(async (redis) => {
  assert.ok((await redis.command()).length > 60);
  assert.equal((await redis.command('INFO', 'get'))[0][0], 'get');
  const clients = await redis.config('GET', 'maxclients');
  assert.equal(String(clients.maxclients ?? clients[1]), '10000');
  assert.equal((await redis.time()).length, 2);
}));

run('ioredis');
