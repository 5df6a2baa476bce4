"""GAN, VAE and diffusion compared by measurement."""
