/** Installs packages of Debian and its derivatives. Plain JavaScript, because it runs before node_modules exists. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

let updated = false;

export const hasApt = () => existsSync('/etc/debian_version');

/**
 * Installs packages. The output goes to stderr, because stdout is for the caller's result.
 * @param {string[]} packages
 * @returns {boolean} whether they are installed
 */
export function aptInstall(packages) {
  const apt = (...args) => {
    const command = process.getuid?.() === 0 ? ['apt-get', ...args] : ['sudo', '-n', 'apt-get', ...args];
    const { status } = spawnSync(command[0], command.slice(1), {
      stdio: ['ignore', 2, 2],
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    });
    return status === 0;
  };
  if (!updated) apt('update', '-q'); // may fail: an old package list can be good enough
  updated = true;
  return apt('install', '-q', '-y', '--no-install-recommends', ...packages);
}
