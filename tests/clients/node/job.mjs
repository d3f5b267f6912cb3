// A realistic job with HubSpot's own Node client, unmodified: only `basePath` and the access token point at the gate.
//
//   node job.mjs granted scope:crm.objects.contacts.read …   every step must answer as that grant says
//   node job.mjs narrowed                                     every step must answer as policies/crm-narrow.yaml says
//   node job.mjs unauthorised SUBCATEGORY                     every step must end in a typed 401
//
// Environment: GATE_URL, GATE_KEY, PORTAL_ID, UPSTREAM_URL.

import { Client } from '@hubspot/api-client';
import * as contacts from '@hubspot/api-client/lib/codegen/crm/contacts/index.js';
import * as companies from '@hubspot/api-client/lib/codegen/crm/companies/index.js';
import * as associations from '@hubspot/api-client/lib/codegen/crm/associations/v4/index.js';
import * as owners from '@hubspot/api-client/lib/codegen/crm/owners/index.js';
import * as files from '@hubspot/api-client/lib/codegen/files/index.js';
import * as definitions from '@hubspot/api-client/lib/codegen/crm/properties/index.js';
import { check, isOwnScopes, Steps } from './steps.mjs';

const CONTACTS = 250;
const UPLOAD_BYTES = 3 * 1024 * 1024;

const gate = process.env.GATE_URL;
const upstream = process.env.UPSTREAM_URL;
const key = process.env.GATE_KEY;
const portal = Number(process.env.PORTAL_ID);
const [mode, ...words] = process.argv.slice(2);

const hubspot = new Client({ basePath: gate, accessToken: key });
const read = 'scope:crm.objects.contacts.read';
const write = 'scope:crm.objects.contacts.write';
const readCompanies = 'scope:crm.objects.companies.read';
const writeCompanies = 'scope:crm.objects.companies.write';

if (mode === 'granted') {
  await granted(words);
} else if (mode === 'narrowed') {
  await narrowed();
} else if (mode === 'unauthorised') {
  await unauthorised(words[0]);
} else {
  console.error('usage: node job.mjs granted NEED… | narrowed | unauthorised SUBCATEGORY');
  process.exitCode = 2;
}

async function granted(needs) {
  const steps = new Steps('node', needs);
  // Ids that later steps work on; a denied step leaves the stand-in, and the gate must deny those without asking HubSpot.
  let people = [];
  let created = '1';
  let company = '1';

  await steps.run('page all contacts', { needs: [read], exception: contacts.ApiException }, async () => {
    let after;
    let pages = 0;
    do {
      const page = await hubspot.crm.contacts.basicApi.getPage(100, after, ['email', 'firstname']);
      pages += 1;
      people.push(...page.results);
      after = page.paging?.next?.after;
      const link = page.paging?.next?.link;
      check(!after || link?.startsWith(`${gate}/`), `the paging link leads past the gate: ${link}`);
      check(!link?.includes(upstream), 'the paging link names the upstream');
      check(pages <= 10, 'paging does not end');
    } while (after);
    check(people.length >= CONTACTS, `${people.length} contacts`);
    check(new Set(people.map((one) => one.id)).size === people.length, 'a contact came twice');
    created = people[0].id;
    return [`${people.length} contacts in ${pages} pages`, pages];
  });

  await steps.run('search by e-mail', { needs: [read], exception: contacts.ApiException }, async () => {
    const email = people[0]?.properties.email ?? 'nobody@example.com';
    const found = await hubspot.crm.contacts.searchApi.doSearch({
      filterGroups: [{ filters: [{ propertyName: 'email', operator: 'EQ', value: email }] }],
      properties: ['email'],
      limit: 10,
    });
    check(found.total === 1 && found.results[0].id === people[0].id, `${found.total} found`);
    return [`1 of ${people.length}, the right one`];
  });

  await steps.run('batch read', { needs: [read], exception: contacts.ApiException }, async () => {
    const inputs = people.slice(0, 100).map(({ id }) => ({ id }));
    const batch = await hubspot.crm.contacts.batchApi.read({ inputs, properties: ['email'], propertiesWithHistory: [] });
    const wanted = inputs.map(({ id }) => id).sort().join();
    check(batch.results.map(({ id }) => id).sort().join() === wanted, `${batch.results.length} came back`);
    return [`${batch.results.length} contacts, ${batch.status}`];
  });

  await steps.run('create a contact', { needs: [write], exception: contacts.ApiException }, async () => {
    const email = `node-${process.pid}-${Date.now()}@example.com`;
    const one = await hubspot.crm.contacts.basicApi.create({ properties: { email, firstname: 'Ada' }, associations: [] });
    check(one.properties.email === email, 'the e-mail is another');
    created = one.id;
    return ['id and properties'];
  });

  await steps.run('update it', { needs: [write], exception: contacts.ApiException }, async () => {
    const one = await hubspot.crm.contacts.basicApi.update(created, { properties: { firstname: 'Grace' } });
    check(one.id === created && one.properties.firstname === 'Grace', JSON.stringify(one.properties));
    return ['firstname is Grace'];
  });

  await steps.run('read it back by alias, raw', { needs: [read] }, async () => {
    const answer = await hubspot.apiRequest({ path: `/crm/v3/objects/contact/${created}?properties=firstname` });
    const one = await answer.json();
    check(answer.status === 200 && one.id === created, `status ${answer.status}`);
    check(answer.headers.get('x-scopegate-decision')?.startsWith('allow; id='), 'no decision in the headers');
    check(answer.headers.get('x-scopegate-source') === 'upstream', 'the source is not the upstream');
    return [answer.headers.get('x-scopegate-decision').replace(/id=[^;]+/, 'id=…')];
  });

  await steps.run('list companies', { needs: [readCompanies], exception: companies.ApiException }, async () => {
    const page = await hubspot.crm.companies.basicApi.getPage(5, undefined, ['name']);
    check(page.results.length === 5, `${page.results.length} companies`);
    company = page.results[0].id;
    return ['5 companies'];
  });

  const pair = { needs: [write, writeCompanies], opener: 'operation:crm.associations.create' };
  await steps.run('associate the two', { ...pair, exception: associations.ApiException }, async () => {
    const made = await hubspot.crm.associations.v4.basicApi.createDefault('contacts', created, 'companies', company);
    check(made.results.length >= 1, JSON.stringify(made));
    return [`${made.results.length} directions, ${made.status}`];
  });

  await steps.run('list its associations', { needs: [read, readCompanies], exception: associations.ApiException }, async () => {
    const page = await hubspot.crm.associations.v4.basicApi.getPage('contacts', created, 'companies');
    check(page.results.some((one) => String(one.toObjectId) === company), JSON.stringify(page.results));
    return ['the company is there'];
  });

  await steps.run('list owners', { needs: ['scope:crm.objects.owners.read'], exception: owners.ApiException }, async () => {
    const page = await hubspot.crm.owners.ownersApi.getPage();
    check(page.results.length > 0 && page.results.every((one) => one.id), JSON.stringify(page.results));
    return [`${page.results.length > 1 ? 'several owners' : 'one owner'}`];
  });

  await steps.run('upload a file (multipart)', { needs: ['scope:files.write'], exception: files.ApiException }, async () => {
    const file = { data: Buffer.alloc(UPLOAD_BYTES, 'scopegate '), name: 'report.txt' };
    const options = JSON.stringify({ access: 'PRIVATE' });
    const one = await hubspot.files.filesApi.upload(file, undefined, '/reports', 'report.txt', undefined, options);
    check(one.id, JSON.stringify(one));
    check(one.size === UPLOAD_BYTES, `${one.size} of ${UPLOAD_BYTES} bytes arrived`);
    return [`${one.size} bytes arrived`];
  });

  await steps.run('archive it', { needs: [write, 'effect:delete'], exception: contacts.ApiException }, async () => {
    await hubspot.crm.contacts.basicApi.archive(created);
    return ['archived'];
  });

  await introspection(needs);
  steps.finish();

  async function introspection(grants) {
    await steps.run('ask what the key may do', { needs: [] }, async () => {
      const info = await hubspot.oauth.accessTokensApi.get(key);
      check(info.hubId === portal, `hub ${info.hubId}, expected ${portal}`);
      check(isOwnScopes(info.scopes, grants), `scopes ${info.scopes}`);
      return [`hub ${info.hubId}, ${info.scopes.length} scopes`];
    });
  }
}

// Asks for more than the policy lets it see. What it may not see is left out; what would tell is refused.
async function narrowed() {
  const steps = new Steps('node', []);
  const asked = ['email', 'firstname', 'ssn', 'salary', 'date_of_birth'];
  const always = ['hs_object_id', 'createdate', 'lastmodifieddate'];
  const readable = ['email', 'firstname', 'lastname', ...always];
  let people = [];
  let created;

  // Every record that came is printed as it came, so that the driver finds whatever should not be in it.
  const shown = (records, seen) => {
    for (const { properties, propertiesWithHistory } of records) {
      for (const name of [...Object.keys(properties), ...Object.keys(propertiesWithHistory ?? {})]) {
        check(readable.includes(name), `${name} came, which the policy hides`);
      }
    }
    check(records.length > 0 && seen.every((name) => name in records[0].properties), JSON.stringify(records[0]));
    console.log(`  received ${JSON.stringify(records)}`);
    return `${records.length} with ${seen.join(', ')}`;
  };

  await steps.run('list', { needs: [] }, async () => {
    const page = await hubspot.crm.contacts.basicApi.getPage(20, undefined, asked, ['email', 'ssn']);
    people = page.results;
    return [shown(people, ['email', 'firstname'])];
  });

  await steps.run('list, nothing asked for', { needs: [] }, async () => {
    const page = await hubspot.crm.contacts.basicApi.getPage(20);
    return [shown(page.results, ['email', 'firstname', 'lastname'])];
  });

  await steps.run('search', { needs: [] }, async () => {
    const found = await hubspot.crm.contacts.searchApi.doSearch({
      filterGroups: [{ filters: [{ propertyName: 'email', operator: 'EQ', value: people[0].properties.email }] }],
      sorts: ['lastname'],
      properties: asked,
      limit: 10,
    });
    check(found.total === 1 && found.results[0].id === people[0].id, `${found.total} found`);
    return [shown(found.results, ['email', 'firstname'])];
  });

  await steps.run('batch read', { needs: [] }, async () => {
    const inputs = people.map(({ id }) => ({ id }));
    const batch = await hubspot.crm.contacts.batchApi.read({ inputs, properties: asked, propertiesWithHistory: ['salary'] });
    check(batch.results.length === inputs.length, `${batch.results.length} came back`);
    return [shown(batch.results, ['email', 'firstname'])];
  });

  await steps.run('property definitions', { needs: [] }, async () => {
    const { results } = await hubspot.crm.properties.coreApi.getAll('contacts', false);
    const names = results.map(({ name }) => name);
    const known = [...readable, 'hs_createdate', 'hs_lastmodifieddate'];
    check(names.includes('email') && names.every((name) => known.includes(name)), `defined: ${names}`);
    return [`${names.length}, those that may be read or written`];
  });

  await steps.run('create within the list', { needs: [] }, async () => {
    const email = `node-narrow-${process.pid}-${Date.now()}@example.com`;
    const one = await hubspot.crm.contacts.basicApi.create({ properties: { email, firstname: 'Ada' }, associations: [] });
    created = one.id;
    check(one.properties.email === email, 'the e-mail is another');
    return [shown([one], ['email', 'firstname'])];
  });

  await steps.run('update within the list', { needs: [] }, async () => {
    const one = await hubspot.crm.contacts.basicApi.update(people[0].id, { properties: { firstname: 'Grace' } });
    check(one.properties.firstname === 'Grace', 'the name is another');
    return [shown([one], ['firstname'])];
  });

  const denied = (properties, exception = contacts.ApiException) => ({ exception, properties });
  const filter = (propertyName) => ({ filterGroups: [{ filters: [{ propertyName, operator: 'HAS_PROPERTY' }] }], limit: 1 });
  await steps.mustBeDeniedProperties('filter by a hidden property', denied(['ssn']),
    () => hubspot.crm.contacts.searchApi.doSearch(filter('ssn')));
  await steps.mustBeDeniedProperties('sort by a hidden property', denied(['salary']),
    () => hubspot.crm.contacts.searchApi.doSearch({ filterGroups: [], sorts: ['salary'], limit: 1 }));
  await steps.mustBeDeniedProperties('look up by a hidden property', denied(['passport_number']),
    () => hubspot.crm.contacts.basicApi.getById('1', ['email'], undefined, undefined, false, 'passport_number'));
  await steps.mustBeDeniedProperties('update what is only read', denied(['lastname']),
    () => hubspot.crm.contacts.basicApi.update(created, { properties: { lastname: 'Lovelace' } }));
  await steps.mustBeDeniedProperties('create with a hidden property', denied(['salary']),
    () => hubspot.crm.contacts.basicApi.create({ properties: { firstname: 'Ada', salary: '1' }, associations: [] }));
  await steps.mustBeDeniedProperties('definition of a hidden property', denied(['ssn'], definitions.ApiException),
    () => hubspot.crm.properties.coreApi.getByName('contacts', 'ssn'));
  steps.finish();
}

async function unauthorised(subCategory) {
  const steps = new Steps('node', []);
  await steps.mustBeUnauthorised('page contacts', { exception: contacts.ApiException, subCategory },
    () => hubspot.crm.contacts.basicApi.getPage(10));
  await steps.mustBeUnauthorised('search', { exception: contacts.ApiException, subCategory },
    () => hubspot.crm.contacts.searchApi.doSearch({ query: 'ada', limit: 1 }));
  await steps.mustBeUnauthorised('create a contact', { exception: contacts.ApiException, subCategory },
    () => hubspot.crm.contacts.basicApi.create({ properties: { firstname: 'Ada' }, associations: [] }));
  await steps.mustBeUnauthorised('list owners', { exception: owners.ApiException, subCategory },
    () => hubspot.crm.owners.ownersApi.getPage());
  await steps.mustBeUnauthorised('upload a file', { exception: files.ApiException, subCategory },
    () => hubspot.files.filesApi.upload({ data: Buffer.alloc(1024), name: 'a.txt' }, undefined, '/reports'));
  steps.finish();
}
