// What is in a file: its content's hash, remembered by the file's identity and times as long as those can be
// trusted. Reads are synchronous: a file of a Dag repository takes 15 µs so, and 150 µs of two cores through
// promises; callers pause between them (`breathe`), so that a scheduler's event loop turns meanwhile.
//
// A file that was changed shortly before it was read may change again without its times showing it (file systems
// count in steps), so its hash is not remembered beyond the pass: git calls such entries racy.
import { hash } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { setImmediate } from 'node:timers/promises'

export interface Fingerprint {
  /** SHA-256 of the content; null: there is no such file, or it cannot be read. */
  contentHash: string | null
  /** Whether the text has the module specifier `'branchline'`, in quotes of either kind. */
  mentionsBranchline: boolean
  /** When content or metadata changed last, by the file system's clock; 0 for no file. */
  changedMs: number
}

interface Remembered extends Fingerprint {
  identity: string
  isRacy: boolean
  pass: number
}

/** Smaller: an edit within one step of the file system's clock may be missed. Larger: more files are read again. */
const racyWindowMs = 2_000
/** Files between two turns of the event loop: 64 take about 1 ms. */
const filesPerTurn = 64

const missing: Fingerprint = { contentHash: null, mentionsBranchline: false, changedMs: 0 }

export class FileHashes {
  readonly #files = new Map<string, Remembered>()
  #pass = 0
  #looksInTurn = 0

  /** Begins a pass: each file is looked at anew, once. Forgets files that the last pass did not ask for. */
  beginPass(): void {
    for (const [path, file] of this.#files) if (file.pass < this.#pass) this.#files.delete(path)
    this.#pass++
  }

  /** The file as this pass saw it first. */
  get(path: string): Fingerprint {
    const file = this.#files.get(path)
    return file?.pass === this.#pass ? file : this.getNow(path)
  }

  /** The file as it is now. */
  getNow(path: string): Fingerprint {
    this.#looksInTurn++
    const known = this.#files.get(path)
    const stat = statSync(path, { throwIfNoEntry: false, bigint: true })
    if (stat === undefined || !stat.isFile()) {
      this.#files.delete(path)
      return missing
    }
    const identity = `${stat.dev}:${stat.ino}:${stat.size}:${stat.mtimeNs}:${stat.ctimeNs}`
    if (known?.identity === identity && (!known.isRacy || known.pass === this.#pass)) {
      known.pass = this.#pass
      return known
    }
    const changedMs = Math.max(Number(stat.ctimeMs), Number(stat.mtimeMs))
    const file: Remembered = {
      ...readContent(path),
      changedMs,
      identity,
      isRacy: Date.now() - changedMs < racyWindowMs,
      pass: this.#pass,
    }
    this.#files.set(path, file)
    return file
  }

  /** To be awaited in loops over files. */
  async breathe(): Promise<void> {
    if (this.#looksInTurn < filesPerTurn) return
    this.#looksInTurn = 0
    await setImmediate()
  }
}

function readContent(path: string): Pick<Fingerprint, 'contentHash' | 'mentionsBranchline'> {
  try {
    const content = readFileSync(path)
    return {
      contentHash: hash('sha256', content),
      mentionsBranchline: content.includes("'branchline'") || content.includes('"branchline"'),
    }
  } catch {
    // Removed since, or not readable: esbuild says so, with the place that needs it.
    return { contentHash: null, mentionsBranchline: false }
  }
}
