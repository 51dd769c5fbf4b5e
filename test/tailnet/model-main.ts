/** A model server as far as a gateway needs one; its answers say its name. `node model-main.ts NAME HOST PORT`. */
import http from 'node:http';
import process from 'node:process';

const [name = '', host = '127.0.0.1', port = '8000'] = process.argv.slice(2);
http
  .createServer((request, response) => {
    request.resume().on('end', () => {
      response.setHeader('content-type', 'application/json');
      if (request.method === 'GET') {
        response.end(JSON.stringify({ object: 'list', data: [{ id: 'm', object: 'model' }] }));
        return;
      }
      const message = { role: 'assistant', content: `I am ${name}` };
      const usage = { prompt_tokens: 1, completion_tokens: 1, total_tokens: 2 };
      const choices = [{ index: 0, message, finish_reason: 'stop' }];
      response.end(
        JSON.stringify({ id: 'c', object: 'chat.completion', model: 'm', choices, usage }),
      );
    });
  })
  .listen(Number(port), host, () => process.stdout.write('listening\n'));
