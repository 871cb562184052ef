// The version of this release, as a constant so that a bundle that was copied alone knows it. A test holds it
// equal to package.json. It imports nothing.

export const version = '0.1.0'
