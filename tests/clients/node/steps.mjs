// Runs named steps, prints one table row each, and judges every answer against what the key's policy grants.
//
// A step lists what it needs in the words of a policy (`scope:crm.objects.contacts.write`, `effect:delete`).
// If all of it is granted the step must succeed; else it must fail with the SDK's own exception,
// status 403, naming what is missing. Nothing else counts as a pass.

export class Steps {
  #granted;
  #client;
  #headers;
  #failures = 0;
  #allowed = 0;
  #denied = 0;

  /** `headers` is false for a client that does not show its caller the headers of an answer. */
  constructor(client, granted, { headers = true } = {}) {
    this.#client = client;
    this.#granted = new Set(granted);
    this.#headers = headers;
    console.log(row('step', 'status', 'what came back'));
    console.log(row('----', '------', '--------------'));
  }

  /**
   * Runs `work`, which returns [what came back, calls allowed, calls denied on the way (the client shrugs them off)]
   * and throws when the answer is wrong.
   * `opener` names an operation that a policy may allow by itself, in place of every need.
   */
  async run(name, { needs, opener, exception }, work) {
    const missing = this.#granted.has(opener) ? [] : needs.filter((need) => !this.#granted.has(need));
    try {
      const [came, allowed = 1, denied = 0] = await work();
      if (missing.length > 0) {
        this.#fail(name, 'ok', `passed, although the policy does not grant ${missing.join(', ')}`);
        return;
      }
      this.#allowed += allowed;
      this.#denied += denied;
      console.log(row(name, 'ok', came));
    } catch (error) {
      if (missing.length > 0 && exception && error instanceof exception) {
        const fault = faultOfDenial(error, missing, this.#headers);
        if (fault) {
          this.#fail(name, String(error.code), fault);
        } else {
          this.#denied += 1;
          console.log(row(name, '403', `${error.constructor.name}: ${named(error).join(', ')}`));
        }
        return;
      }
      this.#fail(name, String(error?.code ?? '-'), summary(error));
    }
  }

  /** Runs `work`, which must fail with `exception` and status 403, naming exactly the `properties` that are hidden. */
  async mustBeDeniedProperties(name, { exception, properties }, work) {
    try {
      await work();
      this.#fail(name, 'ok', `passed, although the policy hides ${properties.join(', ')}`);
    } catch (error) {
      const body = error?.body ?? {};
      const listed = JSON.stringify(body.context?.deniedProperties);
      const fault =
        !(error instanceof exception) ? `not the SDK's exception: ${summary(error)}`
        : error.code !== 403 ? `status ${error.code}, expected 403`
        : body.subCategory !== 'scopegate.property' ? `subCategory ${body.subCategory}`
        : !/^scopegate/.test(body.message ?? '') ? 'the message does not say that scopegate answered'
        : listed !== JSON.stringify(properties) ? `deniedProperties is ${listed}, expected ${properties.join(', ')}`
        : !body.errors?.[0]?.in ? 'nothing says where the property stands'
        : undefined;
      if (fault) {
        this.#fail(name, String(error?.code ?? '-'), fault);
      } else {
        this.#denied += 1;
        console.log(row(name, '403', `${error.constructor.name}: ${properties.join(', ')} in ${body.errors[0].in}`));
      }
    }
  }

  /** Runs `work`, which must fail with `exception` and status 401, telling the caller the key is at fault. */
  async mustBeUnauthorised(name, { exception, subCategory }, work) {
    try {
      await work();
      this.#fail(name, 'ok', 'passed with a key that must not work');
    } catch (error) {
      const fault =
        !(error instanceof exception) ? `not the SDK's exception: ${summary(error)}`
        : error.code !== 401 ? `status ${error.code}, expected 401`
        : error.body?.category !== 'INVALID_AUTHENTICATION' ? `category ${error.body?.category}`
        : error.body?.subCategory !== subCategory ? `subCategory ${error.body?.subCategory}, expected ${subCategory}`
        : !/^scopegate/.test(error.body?.message ?? '') ? 'the message does not say that scopegate answered'
        : this.#headers && header(error, 'x-should-retry') !== 'false' ? 'x-should-retry is not false'
        : undefined;
      if (fault) {
        this.#fail(name, String(error?.code ?? '-'), fault);
      } else {
        console.log(row(name, '401', `${error.constructor.name}: ${error.body.subCategory}`));
      }
    }
  }

  /** Prints the totals the driver compares with /metrics, and sets the exit status. */
  finish() {
    console.log(`${this.#client} calls allowed=${this.#allowed} denied=${this.#denied}`);
    if (this.#failures > 0) {
      console.error(`${this.#client}: ${this.#failures} steps did not go as the policy says`);
      process.exitCode = 1;
    }
  }

  #fail(name, status, why) {
    this.#failures += 1;
    console.log(row(name, status, `UNEXPECTED ${why}`));
  }
}

/** Throws when `condition` does not hold: an answer that is wrong is a failed step. */
export function check(condition, message) {
  if (!condition) throw new Error(message);
}

/**
 * Whether `scopes`, as introspection told them, are the policy's: no other scope, and every CRM scope of it.
 * Scopes outside the CRM are granted by HubSpot under wider names (`files` for `files.write`) and may be absent.
 */
export function isOwnScopes(scopes, grants) {
  const own = grants.filter((one) => one.startsWith('scope:')).map((one) => one.slice('scope:'.length));
  return scopes.every((one) => own.includes(one)) && own.every((one) => !one.startsWith('crm.') || scopes.includes(one));
}

// What is wrong with a denial, or undefined: status, envelope, and that it names exactly the scopes that are missing.
function faultOfDenial(error, missing, headers) {
  const body = error.body ?? {};
  const context = body.errors?.[0]?.context ?? {};
  if (error.code !== 403) return `status ${error.code}, expected 403`;
  if (body.status !== 'error') return `status member ${body.status}`;
  if (body.category !== 'MISSING_SCOPES') return `category ${body.category}`;
  if (body.subCategory !== 'scopegate.denied') return `subCategory ${body.subCategory}`;
  if (!body.correlationId) return 'no correlationId';
  if (!/^scopegate/.test(body.message ?? '')) return 'the message does not say that scopegate answered';
  const decision = header(error, 'x-scopegate-decision') ?? '';
  if (headers && !decision.startsWith(`deny; id=${body.correlationId}`)) return `x-scopegate-decision ${decision}`;
  const lacks = context.lacks ?? [];
  const scopes = missing.filter((need) => need.startsWith('scope:')).map((need) => need.slice('scope:'.length));
  const unnamed = (scopes.length > 0 ? scopes.map((scope) => `scope:${scope}`) : missing)
    .filter((need) => !lacks.includes(need));
  if (unnamed.length > 0) return `lacks is ${JSON.stringify(lacks)}, without ${unnamed.join(', ')}`;
  for (const member of ['requiredScopes', 'requiredGranularScopes']) {
    const required = [...(context[member] ?? [])].sort();
    if (JSON.stringify(required) !== JSON.stringify([...scopes].sort())) {
      return `${member} is ${JSON.stringify(required)}, expected ${JSON.stringify(scopes)}`;
    }
  }
  return undefined;
}

function named(error) {
  return error.body.errors[0].context.lacks;
}

function header(error, name) {
  return error.headers?.[name];
}

function summary(error) {
  return String(error?.message ?? error).replaceAll('\n', ' ').slice(0, 600);
}

function row(step, status, came) {
  return `${step.padEnd(34)} ${status.padEnd(7)} ${came}`;
}
