const root = document.documentElement;
const films = [...document.querySelectorAll('.film video')];

for (const input of document.querySelectorAll('.switch input')) {
  input.addEventListener('change', () => {
    const before = root.dataset.shown;
    root.dataset.shown = input.value;
    for (const film of films) {
      if (film.closest('.film').dataset.m !== before) continue;
      const clip = film.closest('.clip');
      const other = clip.querySelector(`.film[data-m="${input.value}"] video`);
      if (!other || other === film) continue;
      const playing = !film.paused;
      film.pause();
      if (film.currentTime) other.currentTime = film.currentTime;
      if (playing) other.play();
    }
  });
}

for (const film of films) {
  const line = film.closest('.clip').querySelector('.timeline');
  const move = () => {
    line.style.setProperty('--at', Math.min(1, film.currentTime / line.dataset.seconds));
    if (!film.paused) requestAnimationFrame(move);
  };
  film.addEventListener('play', () => {
    for (const other of films) if (other !== film) other.pause();
    line.classList.add('playing');
    move();
  });
  film.addEventListener('seeked', () => { line.classList.add('playing'); move(); });
}
