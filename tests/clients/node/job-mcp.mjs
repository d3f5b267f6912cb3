// HubSpot's own MCP server for AI agents, unmodified, driven over stdio as an agent host drives it:
// only BASE_URL_OVERRIDE and the access token point at the gate. What the gate answers is what the model reads.
//
// Usage and environment as in job.mjs.

import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StdioClientTransport } from '@modelcontextprotocol/sdk/client/stdio.js';
import { check, isOwnScopes, Steps } from './steps.mjs';

const READ = 'scope:crm.objects.contacts.read';
const WRITE = 'scope:crm.objects.contacts.write';
const OWNERS = 'scope:crm.objects.owners.read';
const [mode, ...words] = process.argv.slice(2);

// The server shows its host a text; this is the one place that makes an error object of it.
class ToolError extends Error {
  constructor(text) {
    super(text);
    const found = /HubSpot API Error: (\d+) [^{]*(\{.*\})/s.exec(text);
    this.code = found ? Number(found[1]) : undefined;
    this.body = found ? JSON.parse(found[2]) : undefined;
  }
}

const server = createRequire(import.meta.url).resolve('@hubspot/mcp-server/package.json');
const agent = new Client({ name: 'scopegate-tests', version: '1.0.0' });
await agent.connect(new StdioClientTransport({
  command: process.execPath,
  args: [join(dirname(server), 'dist', 'index.js')],
  env: { PATH: process.env.PATH, BASE_URL_OVERRIDE: process.env.GATE_URL, PRIVATE_APP_ACCESS_TOKEN: process.env.GATE_KEY },
  stderr: 'ignore',
}));

try {
  if (mode === 'granted') {
    await granted(words);
  } else if (mode === 'unauthorised') {
    await unauthorised(words[0]);
  } else {
    console.error('usage: node job-mcp.mjs granted NEED… | unauthorised SUBCATEGORY');
    process.exitCode = 2;
  }
} finally {
  await agent.close();
}

async function call(name, args) {
  const answer = await agent.callTool({ name, arguments: args });
  const texts = answer.content.map((part) => part.text);
  if (answer.isError) throw new ToolError(texts.join('\n'));
  return texts;
}

async function granted(needs) {
  const steps = new Steps('mcp', needs, { headers: false });

  // Three calls: introspection, answered by the gate; the account's details, which no step's scope opens; the owner.
  await steps.run('who am I', { needs: [] }, async () => {
    const texts = await call('hubspot-get-user-details', {});
    const info = JSON.parse(texts[0].replace('- Token Info: ', ''));
    check(info.hubId === Number(process.env.PORTAL_ID), texts[0]);
    check(isOwnScopes(info.scopes, needs), texts[0]);
    check(texts[2] === '- AccountInfo: null', 'the account came, although nothing grants it');
    return needs.includes(OWNERS) ? ['the gate\'s own answer', 2, 1] : ['the gate\'s own answer', 1, 2];
  });
  await steps.run('list contacts', { needs: [READ], exception: ToolError }, async () => {
    const [text] = await call('hubspot-list-objects', { objectType: 'contacts', limit: 5, properties: ['email'] });
    const { results, paging } = JSON.parse(text);
    check(results.length === 5, `${results.length} contacts`);
    check(paging.next.link.startsWith(`${process.env.GATE_URL}/`), paging.next.link);
    return ['5 contacts, the paging link is the gate\'s'];
  });
  await steps.run('search contacts', { needs: [READ], exception: ToolError }, async () => {
    const filters = [{ propertyName: 'email', operator: 'HAS_PROPERTY' }];
    const [text] = await call('hubspot-search-objects', { objectType: 'contacts', limit: 3, filterGroups: [{ filters }] });
    check(JSON.parse(text).results.length === 3, text);
    return ['3 contacts'];
  });
  await steps.run('create contacts, batch', { needs: [WRITE], exception: ToolError }, async () => {
    const email = `mcp-${process.pid}-${Date.now()}@example.com`;
    const [text] = await call('hubspot-batch-create-objects', { objectType: 'contacts', inputs: [{ properties: { email } }] });
    check(JSON.parse(text).results.length === 1, text);
    return ['1 contact'];
  });
  await steps.run('list deals', { needs: ['scope:crm.objects.deals.read'], exception: ToolError }, async () => {
    const [text] = await call('hubspot-list-objects', { objectType: 'deals', limit: 5 });
    return [`${JSON.parse(text).results.length} deals`];
  });
  steps.finish();
}

async function unauthorised(subCategory) {
  const steps = new Steps('mcp', [], { headers: false });
  await steps.mustBeUnauthorised('list contacts', { exception: ToolError, subCategory },
    () => call('hubspot-list-objects', { objectType: 'contacts', limit: 5 }));
  steps.finish();
}
