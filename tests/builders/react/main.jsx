import 'dual-mcmc';
import React, { StrictMode, useEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';

window.mounted = 0;

function Figure({ chains, tell }) {
  useEffect(() => {
    window.mounted += 1;
  }, []);
  return <dual-mcmc src="plane.safetensors" loading="eager" device="cpu" chains={chains} onload={() => tell('load')} />;
}

function Page() {
  const [there, setThere] = useState(true), [chains, setChains] = useState(8), [told, tell] = useState('');
  return (
    <main>
      <button id="toggle" onClick={() => setThere(!there)}>There or not</button>
      <button id="chains" onClick={() => setChains(12)}>More chains</button>
      <p id="told">{told}</p>
      {there && <Figure chains={chains} tell={tell} />}
    </main>
  );
}

createRoot(document.getElementById('root')).render(<StrictMode><Page /></StrictMode>);
