// The OpenID provider for the single sign-on of one homeserver, and the authorization server of another homeserver. The
// pages accept any user name: node provider.mjs PORT SECRET REDIRECT_URI HOMESERVER
import Provider from 'oidc-provider';
const [, , port, secret, callback, homeserver] = process.argv;
const issuer = `http://127.0.0.1:${port}`;
// The path that Synapse sends its requests to.
const introspection = '/oauth2/introspect';
const device = 'urn:matrix:client:device:';
// In seconds: the time between two polls, and how long a device code lives. Tests of its end register a client with a
// shorter life. One more client does not learn the interval, because the provider by itself does not send it.
const INTERVAL = 1;
const LIFE = 60;
const life = 'example.device_code_life';
const untold = 'example.interval_untold';
const provider = new Provider(issuer, {
  clients: [{ client_id: 'synapse', client_secret: secret, redirect_uris: [callback] }],
  claims: { openid: ['sub'], profile: ['name'] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: id }) }),
  features: {
    devInteractions: { enabled: true },
    deviceFlow: { enabled: true },
    introspection: { enabled: true },
    // The provider's own list of scopes cannot contain scopes with device IDs. So the homeserver is a resource,
    // which offers the scopes that the client asks for.
    resourceIndicators: {
      defaultResource: (_, client) => (client.clientId === 'synapse' ? undefined : homeserver),
      getResourceServerInfo({ oidc: { entities, params } }) {
        const granted = entities.AuthorizationCode ?? entities.DeviceCode ?? entities.RefreshToken;
        return { scope: granted?.scope ?? params.scope };
      },
      useGrantedResource: () => true,
    },
    registration: { enabled: true, issueRegistrationAccessToken: false },
    revocation: { enabled: true },
  },
  extraClientMetadata: { properties: [life, untold] },
  routes: { introspection },
  discovery: {
    // Synapse requires the first of these actions.
    account_management_uri: `${issuer}/account`,
    account_management_actions_supported: ['org.matrix.devices_list', 'org.matrix.device_delete'],
    prompt_values_supported: ['none', 'login', 'consent'],
  },
  issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
  expiresWithSession: () => false,
  rotateRefreshToken: true,
  // In seconds. A test waits until an access token expires. Another test waits until a device code is forgotten, which
  // happens this long after its end.
  clockTolerance: 5,
  ttl: { AccessToken: 6, RefreshToken: 600, DeviceCode: (_ctx, _code, client) => client[life] ?? LIFE },
});

// The provider itself accepts polls at any rate. RFC 8628, section 3.5, describes a server that does not: it sends
// `slow_down` to a poll that comes too early, and the interval grows by five seconds for all later polls.
const polls = new Map();
function keepInterval({ oidc, body }, arrived) {
  const code = oidc.params?.device_code;
  const poll = polls.get(code) ?? { interval: INTERVAL, last: -Infinity };
  const isEarly = arrived < poll.last + poll.interval * 1000;
  if (isEarly) poll.interval += 5;
  polls.set(code, { ...poll, last: arrived });
  if (isEarly && body.error === 'authorization_pending') {
    Object.assign(body, { error: 'slow_down', error_description: `once in ${poll.interval} seconds, please` });
  }
}

// Only the authorization server makes and deletes devices.
async function tell(path, token) {
  const scope = [...token.scopes].find((scope) => scope.startsWith(device));
  if (!scope) return;
  const response = await fetch(`${homeserver}/_synapse/mas/${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}` },
    body: JSON.stringify({ localpart: token.accountId, device_id: scope.slice(device.length) }),
  });
  if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
}

// Pages of every origin may send requests, as at the Matrix Authentication Service.
provider.use(async (ctx, next) => {
  ctx.set('access-control-allow-origin', '*');
  if (ctx.method !== 'OPTIONS') return next();
  ctx.set('access-control-allow-headers', 'content-type');
  ctx.status = 204;
});

// The connection breaks where a test wants it to break: before the request is handled, or after that.
provider.use(async (ctx, next) => {
  const cut = ctx.get('x-cut');
  if (cut !== 'request') await next();
  if (cut) {
    ctx.respond = false;
    ctx.req.socket.destroy();
  }
});

provider.use(async (ctx, next) => {
  const arrived = performance.now();
  // Synapse sends a bearer token where the provider expects the name and the secret of a client.
  if (ctx.path === introspection && ctx.get('authorization') === `Bearer ${secret}`) {
    const basic = Buffer.from(`synapse:${secret}`).toString('base64');
    ctx.req.headers.authorization = `Basic ${basic}`;
  }
  await next();
  if (ctx.oidc?.params?.grant_type === 'urn:ietf:params:oauth:grant-type:device_code') keepInterval(ctx, arrived);
  if (ctx.status !== 200) return;
  if (ctx.oidc?.route === 'device_authorization' && !ctx.oidc.client[untold]) ctx.body.interval = INTERVAL;
  const token = ctx.oidc?.entities.AccessToken ?? ctx.oidc?.entities.RefreshToken;
  switch (token && ctx.oidc.route) {
    case 'introspection':
      Object.assign(ctx.body, { username: ctx.body.sub, expires_in: ctx.body.exp - Math.floor(Date.now() / 1000) });
      break;
    case 'token':
      await tell('upsert_device', token);
      break;
    case 'revocation':
      await tell('delete_device', token);
  }
});
provider.listen(Number(port), '127.0.0.1');
