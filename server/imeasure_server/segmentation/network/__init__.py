"""The promptable network: a small 3D U-Net that reads the image and the prompts on a cube around the object."""
