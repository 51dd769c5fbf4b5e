/**
 * An issuer in a place of its own, where everybody who signs in is the one person that it was started for. The page that asks
 * a person to sign in answers at once, as a browser that has a session would see it.
 */
import { createServer } from 'node:http';
import process from 'node:process';
import { startIssuer } from '../coordination/issuer.ts';

const [host = '', clientId = '', email = ''] = process.argv.slice(2);
const issuer = await startIssuer(clientId, host);
issuer.next = { sub: email, email, email_verified: true, name: email };
// A browser would follow the redirect of the authorization endpoint: this says where to.
createServer((request, response) => {
  const location = new URL(request.url ?? '', `http://${host}`).searchParams.get('location') ?? '';
  response.end(issuer.answer(location).href);
}).listen(9_099, host, () => process.stdout.write(`${issuer.url}\n`));
