import type { ReactNode } from "react";

const icon = (path: ReactNode, fill = false) =>
  function Icon({ size = 18 }: { size?: number }) {
    return (
      <svg width={size} height={size} viewBox="0 0 20 20" aria-hidden="true" focusable="false"
        fill={fill ? "currentColor" : "none"} stroke={fill ? "none" : "currentColor"} strokeWidth="1.6" strokeLinecap="round" strokeLinejoin="round">
        {path}
      </svg>
    );
  };

export const Hash = icon(<path d="M7.5 3 6 17M14 3l-1.5 14M3.5 7.5h14M2.5 12.5h14" />);
export const Close = icon(<path d="m5 5 10 10M15 5 5 15" />);
export const Dots = icon(<path d="M4 8.5a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3m6 0a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3m6 0a1.5 1.5 0 1 1 0 3 1.5 1.5 0 0 1 0-3" />, true);
export const Down = icon(<path d="m5.5 8 4.5 4.5L14.5 8" />);
export const Send = icon(<path d="M2.5 3.3c0-.6.6-.9 1.100-.7l14 6.700c.6.3.6 1.100 0 1.400l-14 6.700c-.5.200-1.100-.1-1.100-.7l1.400-5.5L11 10 3.900 8.800z" />, true);
export const Clip = icon(<path d="m15.5 9.5-5.6 5.6a3.5 3.5 0 0 1-5-5l6-6a2.3 2.3 0 0 1 3.3 3.3l-5.800 5.800a1.100 1.100 0 0 1-1.6-1.6l5.200-5.200" />);
export const Eye = icon(<><path d="M2 10s3-5 8-5 8 5 8 5-3 5-8 5-8-5-8-5" /><circle cx="10" cy="10" r="2.2" /></>);
export const Page = icon(<path d="M5 2.5h6.5l3.5 3.5v11.5H5zM11.5 2.5V6H15M7.5 10h5M7.5 13h5" />);
export const Save = icon(<path d="M10 3v9m0 0 3.5-3.5M10 12 6.5 8.5M3.5 15.5h13" />);
export const Bars = icon(<path d="M3 5.5h14M3 10h14M3 14.5h14" />);
export const Warn = icon(<path d="M10 3 2.5 16.5h15zM10 8v4m0 2.3v.1" />);
export const Out = icon(<path d="M8 4H4v12h12v-4M11.5 3.5h5v5M16 4l-7 7" />);
export const ThumbUp = icon(<path d="M6 9v8H3V9zm0 7.5c1 .7 2 1 3.5 1h4.3c.8 0 1.400-.5 1.6-1.3l1.400-5.200c.2-1-.5-1.900-1.5-1.900h-3.5l.7-3.3c.2-1-.5-1.900-1.5-1.900L8 9H6" />);
export const ThumbDown = icon(<path d="M6 11V3H3v8zm0-7.5c1-.7 2-1 3.5-1h4.3c.8 0 1.400.5 1.6 1.3l1.400 5.200c.2 1-.5 1.900-1.5 1.900h-3.5l.7 3.3c.2 1-.5 1.900-1.5 1.900L8 11H6" />);
export const Trash = icon(<path d="M3.5 5.5h13M8 5V3h4v2M5 5.5 6 17h8l1-11.5M8.5 8.5v5.5m3-5.5v5.5" />);
export const Bolt = icon(<path d="M11 2.5 4.5 11.500H9.500L8.500 17.500 15.500 8.500H10.500z" />);
