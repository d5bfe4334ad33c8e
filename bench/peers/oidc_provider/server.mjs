// oidc-provider at its fastest: one process, everything in memory, nothing logged. Prints the refresh tokens of its families, then serves.
import { Provider } from 'oidc-provider';

const [port, families] = process.argv.slice(2).map(Number);
const issuer = `http://127.0.0.1:${port}`;
const RESOURCE = 'https://jwt.example/';
const rows = new Map();
const grants = new Map();

class Memory {
  constructor(model) { this.model = model; }
  key(id) { return `${this.model}:${id}`; }
  async upsert(id, payload) {
    rows.set(this.key(id), payload);
    if (payload.grantId) grants.set(payload.grantId, [...(grants.get(payload.grantId) ?? []).slice(-9), this.key(id)]);
  }
  async find(id) { return rows.get(this.key(id)); }
  async consume(id) { rows.get(this.key(id)).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { rows.delete(this.key(id)); }
  async revokeByGrantId(id) { for (const key of grants.get(id) ?? []) rows.delete(key); }
}

const provider = new Provider(issuer, {
  adapter: Memory,
  clients: [{
    client_id: 'bench',
    client_secret: 'bench-secret-of-43-characters-like-the-others',
    token_endpoint_auth_method: 'client_secret_post',
    grant_types: ['client_credentials', 'authorization_code', 'refresh_token'],
    redirect_uris: ['https://partner.example/callback'],
  }],
  findAccount: (_ctx, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
  rotateRefreshToken: true,
  ttl: { AccessToken: 900, ClientCredentials: 900, RefreshToken: 86400, Grant: 86400 },
  scopes: ['agents:read', 'offline_access'],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: 'agents:read',
        audience: resource,
        accessTokenFormat: 'jwt',
        jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
});

async function family(resource) {
  const client = await provider.Client.find('bench');
  const grant = new provider.Grant({ accountId: 'bench', clientId: 'bench' });
  grant.addOIDCScope('offline_access');
  grant.addResourceScope(resource, 'agents:read');
  const scope = 'offline_access agents:read';
  const token = new provider.RefreshToken({
    accountId: 'bench', client, grantId: await grant.save(), gty: 'authorization_code', resource, scope, authTime: 1, claims: {},
  });
  return token.save();
}

const tokens = await Promise.all(Array.from({ length: families }, () => family(RESOURCE)));
provider.listen(port, '127.0.0.1', () => console.log(JSON.stringify(tokens)));
