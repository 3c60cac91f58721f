// Which of the two pages is shown; each starts itself.
import { startLive } from './live.js';
import { startMaking } from './make.js';
import { element, getJSON } from './parts.js';

const status = await getJSON('api/status');
const pages = status.live ? ['live', 'make'] : ['make'];
element('pages').hidden = !status.live;

function show() {
  const asked = location.hash.slice(1);
  const page = pages.includes(asked) ? asked : pages[0];
  for (const name of pages) {
    element(name).hidden = name !== page;
    document.querySelector(`nav a[href="#${name}"]`).toggleAttribute('aria-current', name === page);
  }
  document.title = `dim: ${page}`;
}

addEventListener('hashchange', show);
startMaking(status);
if (status.live) startLive(status);
element('loading').remove();
show();
