import type { TransportFactory } from './transport.js';

/** What the URL of a broker does not say, as an option of a command line. */
export interface BrokerSetting {
  /** `exchange`: the option is `--exchange`. */
  readonly name: string;
  /** What stands behind the option in the help. */
  readonly value: string;
  readonly default?: string;
  readonly what: string;
  /** The option of the transport that this setting becomes. */
  readonly option: string;
}

export interface BrokerUrlOptions {
  /** By the names of `settings`. */
  readonly settings: Readonly<Record<string, string | undefined>>;
  /** Where `login` is looked up. */
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The longest that one attempt to connect may take, in milliseconds. */
  readonly connectTimeout: number;
  /** Name of the connection on the broker. */
  readonly name: string;
}

/** How a broker is reached from outside of an application, where there is a URL instead of code. */
export interface BrokerUrl {
  /** The broker's name, for people. */
  readonly title: string;
  /** Of the URLs that mean this broker. */
  readonly schemes: readonly string[];
  readonly example: string;
  /** The environment variable for the URL of this broker and no other. */
  readonly variable: string;
  /** The environment variables for who logs in, where the URL does not say it; for a help text. */
  readonly login?: string;
  readonly settings: readonly BrokerSetting[];
  /** @throws InvalidOptionError, also for a URL that cannot be read */
  factory(url: string, options: BrokerUrlOptions): TransportFactory;
}

/** Several URLs with commas between them. A comma in a password is none: an «@» follows, and no scheme in between. */
export function splitUrls(text: string): string[] {
  return text.split(/,(?=\s*[a-z][a-z\d+.-]*:\/\/|[^@]*$)/i).map((one) => one.trim());
}
