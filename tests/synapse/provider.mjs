// An OpenID provider with pages that take any user name: node provider.mjs PORT REDIRECT_URI
import Provider from 'oidc-provider';
const [, , port, callback] = process.argv;
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [{ client_id: 'synapse', client_secret: 'made-up client secret', redirect_uris: [callback] }],
  claims: { openid: ['sub'], profile: ['name'] },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: id }) }),
  features: { devInteractions: { enabled: true } },
});
provider.listen(Number(port), '127.0.0.1');
