import { act } from './api.js';

/** An address with #token=… logs in by itself, and loses the token. */
const given = /^#token=([\w~.+/=-]+)$/.exec(location.hash)?.[1];
if (given) history.replaceState(null, '', location.pathname + location.search);

const main = document.createElement('main');
const form = document.createElement('form');
const heading = document.createElement('h1');
const label = document.createElement('label');
const input = document.createElement('input');
const button = document.createElement('button');
const problem = document.createElement('p');
heading.textContent = 'Messaging';
label.textContent = 'Token';
label.htmlFor = input.id = 'token';
input.type = 'password';
input.autocomplete = 'current-password';
input.required = true;
button.textContent = 'Log in';
problem.className = 'problem';
problem.hidden = true;
problem.setAttribute('role', 'alert');
form.className = 'card login';
form.append(heading, label, input, button, problem);
main.append(form);
document.getElementById('app')!.append(main);

async function login(token: string): Promise<void> {
  problem.hidden = true;
  try {
    await act('POST', 'login', { token });
    location.reload();
  } catch (error) {
    problem.textContent = (error as Error).message;
    problem.hidden = false;
    input.focus();
  }
}

form.addEventListener('submit', (event) => {
  event.preventDefault();
  void login(input.value);
});
if (given) void login(given);
else input.focus();
